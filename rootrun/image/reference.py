"""Names of images: where one is read from, where one is written to."""

import os
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from rootrun.dataclass import dataclass
from rootrun.errors import UsageError


class Transport(Enum):
    """The transports, as skopeo spells them; SNIFF is a bare path."""

    SNIFF = ""
    DOCKER_ARCHIVE = "docker-archive"
    OCI_ARCHIVE = "oci-archive"
    OCI = "oci"
    DOCKER = "docker"  # a registry, through skopeo


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """Where a base image is. ``path`` is ``-`` for stdin; ``name`` is of a registry only."""

    transport: Transport
    path: Path | None = None
    ref: str | None = None  # the part behind the path, as transport:path:ref has it
    name: str | None = None  # //host/name@digest, as skopeo takes it


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputReference:
    """Where the new image goes. ``path`` is ``-`` for stdout."""

    transport: Transport  # DOCKER_ARCHIVE, OCI_ARCHIVE or OCI
    path: Path
    ref: str | None = None


_STORED = (Transport.DOCKER_ARCHIVE, Transport.OCI_ARCHIVE, Transport.OCI)
_FOREIGN = ("containers-storage", "dir", "docker-daemon", "ostree", "sif", "tarball")
# Patterns are compiled where one is needed: few runs need any, and all would take 4 ms.
_PINNED = r"//[^@\s]+@sha256:[0-9a-f]{64}"

# The grammar of names and tags: distribution-spec 1.1, Pulling manifests.
_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-z0-9]+(?:-+[a-z0-9]+)*(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*|\[[0-9a-f:]+\])(?::[0-9]+)?"
_NAME = rf"(?:{_HOST}/)?{_WORD}(?:/{_WORD})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_MAX_NAME = 255
_SUFFIXES = frozenset(
    ["tar", "tgz", "tzst", "gz", "zst", "xz", "bz2", "oci", "sh", "bash", "py", "pl"],
)
_OWN_HOSTS = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "localhost/")


def parse_image_reference(text: str) -> ImageReference:
    """Return what ``--from TEXT`` names; raise UsageError for what is no reference.

    ``transport:path[:ref]`` as containers-transports(5) has it, a bare path, or
    ``-``. A path that exists is taken whole, colons and all. ``scratch`` is a
    path here: the caller knows whether it means no image.
    """
    if not text:
        raise UsageError("image reference: '': empty")
    if text.startswith("docker://"):
        return _registry_reference(text)
    transport, rest = _split_transport(text)
    if transport is Transport.SNIFF:
        return ImageReference(transport=transport, path=Path(text))
    path, ref = _split_ref(rest, text=text)
    return ImageReference(transport=transport, path=path, ref=ref)


def parse_output_reference(text: str) -> OutputReference:
    """Return what ``--output TEXT`` names; a bare path is a docker-archive, ``-`` stdout."""
    if not text:
        raise UsageError("output reference: '': empty")
    if text.startswith("docker://"):
        raise UsageError(
            f"output reference: {text}: rootrun does not push to registries",
            hint="write a file, and push it with skopeo copy docker-archive:FILE docker://NAME",
        )
    transport, rest = _split_transport(text)
    if transport is Transport.SNIFF:
        return OutputReference(transport=Transport.DOCKER_ARCHIVE, path=Path(text))
    path, ref = _split_ref(rest, text=text)
    if transport is Transport.OCI and path == Path("-"):
        raise UsageError(f"output reference: {text}: a directory cannot go to stdout")
    return OutputReference(transport=transport, path=path, ref=ref)


def _registry_reference(text: str) -> ImageReference:
    name = text.removeprefix("docker:")
    if not re.fullmatch(_PINNED, name):
        bare, at, _ = text.partition("@")
        raise UsageError(
            f"image reference: {text}: {'not a sha256 digest' if at else 'no digest'}",
            hint=f"pin it as {bare}@sha256:..., which skopeo inspect prints",
        )
    return ImageReference(transport=Transport.DOCKER, name=name)


def _split_transport(text: str) -> tuple[Transport, str]:
    prefix, colon, rest = text.partition(":")
    if not colon or os.path.lexists(text):
        return Transport.SNIFF, text
    for transport in _STORED:
        if prefix == transport.value:
            return transport, rest
    if prefix in _FOREIGN:
        known = ", ".join(transport.value for transport in (*_STORED, Transport.DOCKER))
        raise UsageError(f"{text}: unknown transport {prefix}", hint=f"known are {known}")
    return Transport.SNIFF, text


def _split_ref(rest: str, *, text: str) -> tuple[Path, str | None]:
    """Split PATH[:REF] where the path exists, else at its first colon, as skopeo does."""
    path, ref = next(
        (found for found in _splits(rest) if os.path.lexists(found[0])), _first_split(rest)
    )
    if not path:
        raise UsageError(f"image reference: {text}: no path")
    return Path(path), ref or None


def _splits(rest: str) -> Iterator[tuple[str, str]]:
    """Give all ways to split, the longest path first."""
    yield rest, ""
    for position in range(len(rest) - 1, 0, -1):
        if rest[position] == ":":
            yield rest[:position], rest[position + 1 :]


def _first_split(rest: str) -> tuple[str, str]:
    path, _, ref = rest.partition(":")
    return path, ref


def parse_name(text: str) -> str:
    """Return ``text`` in lower case; raise UsageError if that is no repository name.

    A registry host, its port and slashes are part of a name: ``localhost:5000/a/b``.
    docker takes no upper case, and dockerTools lowers it too.
    """
    name = text.lower()
    if len(name) <= _MAX_NAME and re.fullmatch(_NAME, name):
        return name
    repository, colon, tag = name.rpartition(":")
    hint = "give the tag as --tag" if colon and "/" not in tag and repository else None
    raise UsageError(f"image name: {text!r}: not a repository name", hint=hint)


def parse_tag(text: str) -> str:
    """Return ``text``, a tag: at most 128 letters, digits, ``_``, ``.`` and ``-``."""
    if re.fullmatch(_TAG, text):
        return text
    raise UsageError(f"image tag: {text!r}: not a tag")


def name_from_stems(base: str | None, script: str | None) -> str:
    """Return the default name, as ``base-setup`` for ``base.tar`` and ``setup.sh``.

    File names are fine: their known suffixes go, and what the grammar of names
    does not have becomes ``-``. None, or nothing left, is passed over.
    """
    words = [word for text in (base, script) if text for word in _words(stem(text).lower())]
    return "-".join(words)[:_MAX_NAME].strip("-") or "image"


def _words(text: str) -> list[str]:
    """Return the runs of ASCII letters and digits."""
    return "".join(c if c.isascii() and c.isalnum() else " " for c in text).split()


def stem(file_name: str) -> str:
    """Return the last component of ``file_name`` without suffixes of archives and scripts."""
    last = file_name.rstrip("/").rpartition("/")[2]
    rest, dot, suffix = last.rpartition(".")
    left = last
    while dot and suffix.lower() in _SUFFIXES:
        left = rest
        rest, dot, suffix = left.rpartition(".")
    return left or last


def reference_stem(reference: ImageReference | None) -> str | None:
    """Return what a default name makes of the base, None for stdin and for no base."""
    if reference is None or reference.path is None:
        name = reference.name if reference else None
        return name.partition("@")[0].rpartition("/")[2].partition(":")[0] if name else None
    text = str(reference.path)
    return None if text == "-" else stem(text)


def same_image_name(one: str, other: str) -> bool:
    """Say whether two names mean one image: docker.io, library and latest may be left out."""
    return _familiar(one) == _familiar(other)


def _familiar(name: str) -> str:
    for host in _OWN_HOSTS:
        if name.startswith(host):
            name = name.removeprefix(host)
            break
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
