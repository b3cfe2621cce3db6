"""Names of images: where one is read from, where one is written to."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

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
_PINNED = re.compile(r"//[^@\s]+@sha256:[0-9a-f]{64}")


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
    if not _PINNED.fullmatch(name):
        raise UsageError(
            f"image reference: {text}: no digest",
            hint=f"pin it as {text.partition('@')[0]}@sha256:..., which skopeo inspect prints",
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
