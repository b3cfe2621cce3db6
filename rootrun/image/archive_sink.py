"""Writing docker-archives, for readers of ``manifest.json`` and for those of the first format.

Each layer has ``<id>/layer.tar``, ``<id>/VERSION`` and ``<id>/json`` (moby image spec 1.0),
the image ``<hex>.json``, ``manifest.json`` (1.2) and ``repositories``. The id is the chain id,
which no two places in any image share unless all below them is the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rootrun.image.archive_body import ArchiveBody
from rootrun.image.compression import Compression
from rootrun.image.config import ImageConfig, parse_config
from rootrun.image.digest import Digest, digest_of, hex_of
from rootrun.image.document import JsonObject, to_bytes
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput
from rootrun.image.manifest import ArchiveEntry, archive_manifest_bytes
from rootrun.image.output_file import OutputFile, open_output_file
from rootrun.image.written import WrittenImage
from rootrun.namedtuple import NamedTuple

_VERSION = b"1.0"


class _Place(NamedTuple):
    """One layer of the image: its id, and the member that holds its tar."""

    v1_id: str
    member: str


class DockerArchiveSink:
    """A docker-archive in the making."""

    def __init__(
        self, output: OutputFile, base: tuple[Layer, ...], *, compression: Compression
    ) -> None:
        self._output = output
        self._body = ArchiveBody(output, base, compression=compression)

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of the image so far; see Sink."""
        return self._body.layers

    def write_base(self, is_verified: Callable[[Layer], bool]) -> None:
        """Copy the base's blobs; see Sink."""
        self._body.write_base(is_verified)

    def new_layer(self) -> AbstractContextManager[LayerOutput]:
        """Open the next layer; see Sink."""
        return self._body.new_layer()

    def add_layer(self, layer: Layer) -> None:
        """Copy the next layer; see Sink."""
        self._body.add_layer(layer)

    def finish(self, config_bytes: bytes, *, names: tuple[str, ...]) -> WrittenImage:
        """Write all that describes the layers; see Sink."""
        config = parse_config(config_bytes, where="new image: config")
        places = self._name_layers(config.diff_ids)
        self._write_v1_files(places, config)
        image_id = digest_of(config_bytes)
        entry = ArchiveEntry(
            f"{hex_of(image_id)}.json", names, tuple(place.member for place in places)
        )
        self._body.add(entry.config, config_bytes)
        self._body.add("manifest.json", archive_manifest_bytes(entry))
        if places:
            self._body.add("repositories", _repositories(names, places[-1].v1_id))
        self._body.finish()
        return WrittenImage(image_id, None)

    def commit(self) -> None:
        """Give the archive its name; see Sink."""
        self._output.commit()

    def _name_layers(self, diff_ids: tuple[Digest, ...]) -> list[_Place]:
        """Write the headers of the layers; return where each layer of the image is."""
        keys = [layer.stored_key for layer in self.layers]
        members: dict[str, str] = {}
        places = []
        for key, chain in zip(keys, _chain_ids(diff_ids), strict=True):
            member = members.setdefault(key, f"{chain}/layer.tar")
            places.append(_Place(chain, member))
        self._body.name_layers(members)
        return places

    def _write_v1_files(self, places: list[_Place], config: ImageConfig) -> None:
        parent: str | None = None
        for place in places:
            document: JsonObject = {"id": place.v1_id}
            if parent:
                document["parent"] = parent
            document["created"] = config.created
            if place is places[-1]:
                document |= _v1_config(config)
            self._body.add(f"{place.v1_id}/VERSION", _VERSION)
            self._body.add(f"{place.v1_id}/json", to_bytes(document))
            if place.member != f"{place.v1_id}/layer.tar":
                self._body.add_symlink(f"{place.v1_id}/layer.tar", f"../{place.member}")
            parent = place.v1_id


@contextmanager
def open_archive_sink(
    target: Path, *, base: tuple[Layer, ...], scratch: Path, compression: Compression
) -> Iterator[DockerArchiveSink]:
    """Open a docker-archive for writing at ``target``."""
    output: AbstractContextManager[OutputFile] = open_output_file(target, scratch=scratch)
    with output as file:
        yield DockerArchiveSink(file, base, compression=compression)


def _chain_ids(diff_ids: tuple[Digest, ...]) -> list[str]:
    """Return the chain ids, hexadecimal: each is of a layer on those below it (config.md)."""
    chain: list[str] = []
    for diff_id in diff_ids:
        own = diff_id if not chain else digest_of(f"sha256:{chain[-1]} {diff_id}".encode())
        chain.append(hex_of(own))
    return chain


def _v1_config(config: ImageConfig) -> JsonObject:
    keys = ("author", "architecture", "os", "variant", "config")
    return {key: config.raw[key] for key in keys if key in config.raw}


def _repositories(names: tuple[str, ...], top: str) -> bytes:
    repositories: dict[str, dict[str, str]] = {}
    for name in names:
        repository, _, tag = name.rpartition(":")
        repositories.setdefault(repository, {})[tag] = top
    return to_bytes(repositories)
