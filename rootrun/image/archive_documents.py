"""What describes the images of a docker-archive, for readers of both its formats.

Each layer has ``<id>/layer.tar``, ``<id>/VERSION`` and ``<id>/json`` (moby image spec 1.0),
each image ``<hex>.json``, all ``manifest.json`` (1.2) and ``repositories``. The id is the chain id,
which no two places in any image share unless all below them is the same.
"""

from collections.abc import Mapping, Sequence

from rootrun.annotation import Protocol
from rootrun.image.config import ImageConfig, parse_config
from rootrun.image.digest import Digest, digest_of, hex_of
from rootrun.image.document import JsonObject, to_bytes
from rootrun.image.image import Layer
from rootrun.image.manifest import ArchiveEntry, archive_manifest_bytes
from rootrun.namedtuple import NamedTuple

_VERSION = b"1.0"


class Body(Protocol):
    """The members of an archive that is written, whose layers are there or on their way."""

    def name_layers(self, names: Mapping[str, str], /) -> Mapping[str, str]:
        """Give the members of the layers ``names``, by stored key; return those that they have."""

    def add(self, name: str, content: bytes, /) -> None:
        """Append a member; there must be no layer to come."""

    def add_symlink(self, name: str, target: str, /) -> None:
        """Append a member that is a symlink."""

    def finish(self) -> None:
        """Complete the archive."""


class NewImage(NamedTuple):
    """An image to describe; its layers are among those of the archive."""

    config_bytes: bytes
    names: tuple[str, ...]  # NAME:TAG
    layers: Sequence[Layer]


class _Place(NamedTuple):
    """One layer of an image: its id, and the member that holds its tar."""

    v1_id: str
    member: str


def describe_images(body: Body, images: Sequence[NewImage]) -> None:
    """Write all that describes ``images``, and complete the archive. No two are one image."""
    documents = _Documents(body)
    documents.name_layers(images)
    entries: list[tuple[ArchiveEntry, bytes]] = []
    tops: dict[str, str] = {}
    for image in images:
        config = parse_config(image.config_bytes, where="new image: config")
        places = documents.write_layers(image, config)
        config_name = f"{hex_of(digest_of(image.config_bytes))}.json"
        members = tuple(place.member for place in places)
        entries.append((ArchiveEntry(config_name, image.names, members), image.config_bytes))
        if places:
            tops.update(dict.fromkeys(image.names, places[-1].v1_id))
    for entry, content in entries:
        body.add(entry.config, content)
    body.add("manifest.json", archive_manifest_bytes([entry for entry, _ in entries]))
    if any(image.layers for image in images):
        body.add("repositories", _repositories(tops))
    body.finish()


class _Documents:
    """The files of the first format, of all images of one archive."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._members: Mapping[str, str] = {}  # of blobs, by the layers' stored keys
        self._written: dict[str, JsonObject] = {}  # by v1 id, without that

    def name_layers(self, images: Sequence[NewImage]) -> None:
        """Write the headers of the layers: each is named for its first place."""
        names: dict[str, str] = {}
        for image in images:
            diff_ids = [layer.diff_id for layer in image.layers]
            for layer, chain in zip(image.layers, _chain_ids(diff_ids), strict=True):
                names.setdefault(layer.stored_key, f"{chain}/layer.tar")
        self._members = self._body.name_layers(names)

    def write_layers(self, image: NewImage, config: ImageConfig) -> list[_Place]:
        """Write what the first format says of the layers of ``image``; return their places."""
        places: list[_Place] = []
        image_id = hex_of(digest_of(image.config_bytes))
        for layer, chain in zip(image.layers, _chain_ids(config.diff_ids), strict=True):
            about: JsonObject = {"parent": places[-1].v1_id} if places else {}
            about["created"] = config.created
            if len(places) + 1 == len(image.layers):
                about |= _v1_config(config)
            member = self._members[layer.stored_key]
            # Where another image says something else of the same layers, the place is not the same.
            other = hex_of(digest_of(f"{chain} {image_id}".encode()))
            v1_id = next(
                v1_id for v1_id in (chain, other) if self._written.get(v1_id, about) == about
            )
            if v1_id not in self._written:
                self._write(v1_id, about, member=member)
            places.append(_Place(v1_id, member))
        return places

    def _write(self, v1_id: str, about: JsonObject, *, member: str) -> None:
        self._written[v1_id] = about
        self._body.add(f"{v1_id}/VERSION", _VERSION)
        self._body.add(f"{v1_id}/json", to_bytes({"id": v1_id, **about}))
        if member != f"{v1_id}/layer.tar":
            self._body.add_symlink(f"{v1_id}/layer.tar", f"../{member}")


def _chain_ids(diff_ids: Sequence[Digest]) -> list[str]:
    """Return the chain ids, hexadecimal: each is of a layer on those below it (config.md)."""
    chain: list[str] = []
    for diff_id in diff_ids:
        own = diff_id if not chain else digest_of(f"sha256:{chain[-1]} {diff_id}".encode())
        chain.append(hex_of(own))
    return chain


def _v1_config(config: ImageConfig) -> JsonObject:
    keys = ("author", "architecture", "os", "variant", "config")
    return {key: config.raw[key] for key in keys if key in config.raw}


def _repositories(tops: Mapping[str, str]) -> bytes:
    repositories: dict[str, dict[str, str]] = {}
    for name, top in tops.items():
        repository, _, tag = name.rpartition(":")
        repositories.setdefault(repository, {})[tag] = top
    return to_bytes(repositories)
