"""How a machine differs from the usual one, as values."""

import os
from collections.abc import Mapping
from pathlib import Path

from rootrun.dataclass import dataclass, field
from rootrun.errors import UsageError
from rootrun.image.reference import Transport, parse_image_reference
from rootrun.request import Bind
from rootrun.testing.plan import MachinePlan

NO_IMAGE = "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """What is not as usual; the names are those of the command line, see rootrun(1).

    Machines of one ``idmap``, ``cache_dir`` and ``tmpdir`` can be on networks together.
    """

    ref: str | None = None  # NAME:TAG, picks one of several images
    architecture: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)  # beside that of the image
    host_network: bool = False  # that of this machine, instead of one of its own
    outgoing: bool = False  # connections to wherever this machine gets, by pasta(1)
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ()
    memory_bytes: int | None = None
    pids: int | None = None
    disk_bytes: int | None = None
    nofile: int | None = None
    cpus: float | None = None
    rootfs: str = "auto"
    emulate: str = "auto"
    idmap: str = "auto"
    cache_dir: str | os.PathLike[str] | None = None
    no_cache: bool = False
    tmpdir: str | os.PathLike[str] | None = None


def plan_of(
    name: str, image: str | os.PathLike[str], options: MachineOptions, *, has_hosts: bool
) -> MachinePlan:
    """Return the plan of a machine; raises UsageError for an image that is not there."""
    return MachinePlan(
        name=name,
        image=absolute_image(os.fspath(image)),
        image_ref=options.ref,
        architecture=options.architecture,
        rootfs=options.rootfs,
        emulate=options.emulate,
        has_host_network=options.host_network,
        binds=tuple(
            (os.path.abspath(bind.source), bind.destination, bind.read_only)
            for bind in options.binds
        ),
        tmpfs=options.tmpfs,
        memory_bytes=options.memory_bytes,
        pids=options.pids,
        disk_bytes=options.disk_bytes,
        nofile=options.nofile,
        cpus=options.cpus,
        environment=tuple(options.environment.items()),
        has_hosts=has_hosts,
        has_outgoing=options.outgoing,
    )


def absolute_image(image: str) -> str:
    """Return the name of an image for a process that may be in another directory."""
    if image == NO_IMAGE:
        return image
    reference = parse_image_reference(image)
    if reference.path is None:
        return image
    if reference.path == Path("-"):
        raise UsageError("machine: '-': an image from standard input is not possible here")
    if not reference.path.exists():
        raise UsageError(f"machine: {image!r}: No such file or directory")
    path = os.path.abspath(reference.path)
    if reference.transport is Transport.SNIFF:
        return path
    ref = f":{reference.ref}" if reference.ref else ""
    return f"{reference.transport.value}:{path}{ref}"
