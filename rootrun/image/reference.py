"""Names of images: where one is read from, where one is written to."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


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
