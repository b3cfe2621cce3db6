"""What a machine is to be, as values that go from one process to another."""

from collections.abc import Mapping
from pathlib import Path

from rootrun.image.edits import ConfigEdits
from rootrun.image.reference import OutputReference, Transport, parse_image_reference
from rootrun.layer.policy import LayerPolicy, OwnerRule
from rootrun.namedtuple import NamedTuple
from rootrun.request import Bind, NetworkMode, Request, Sandbox, Scratch

_NO_IMAGE = "scratch"
_CREATED = "1970-01-01T00:00:01Z"
_NOWHERE = OutputReference(transport=Transport.DOCKER_ARCHIVE, path=Path("-"))


class MachinePlan(NamedTuple):
    """One machine. All of it can be JSON."""

    name: str
    image: str  # as ``--from`` takes it, its path absolute; scratch for an empty root
    image_ref: str | None = None
    architecture: str | None = None
    rootfs: str = "auto"
    emulate: str = "auto"
    has_host_network: bool = False
    binds: tuple[tuple[str, str, bool], ...] = ()  # source, destination, whether read-only
    tmpfs: tuple[str, ...] = ()
    memory_bytes: int | None = None
    pids: int | None = None
    disk_bytes: int | None = None
    nofile: int | None = None
    cpus: float | None = None
    environment: tuple[tuple[str, str], ...] = ()
    layers: tuple[str, ...] = ()  # tars laid on the image, bottom first
    has_hosts: bool = False  # an /etc/hosts of its own, for those of its networks
    has_outgoing: bool = False  # an /etc/resolv.conf of its own, for connections out of it


class Places(NamedTuple):
    """Where machines work, and by which id map: what they have in common."""

    cache_directory: str | None
    scratch_parent: str | None
    id_map: str = "auto"

    @property
    def scratch(self) -> Scratch:
        """As a request has it."""
        return Scratch(
            cache_directory=Path(self.cache_directory) if self.cache_directory else None,
            scratch_parent=Path(self.scratch_parent) if self.scratch_parent else None,
        )


def values_of(plan: MachinePlan | Places) -> dict[str, object]:
    """Return the fields by their names, for JSON."""
    return dict(zip(plan._fields, plan, strict=True))


def plan_from(values: Mapping[str, object]) -> MachinePlan:
    """Return the plan whose ``values_of`` went through JSON."""
    return MachinePlan(**{name: _frozen(value) for name, value in values.items()})  # type: ignore[arg-type] # as they were


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def request_of(plan: MachinePlan, places: Places) -> Request:
    """Return the run that would make the same root as ``plan``; raises UsageError."""
    base = None if plan.image == _NO_IMAGE else parse_image_reference(plan.image)
    return Request(
        base=base,
        base_ref=plan.image_ref,
        architecture=plan.architecture,
        output=_NOWHERE,
        name=plan.name,
        edits=ConfigEdits(),
        created=_CREATED,
        policy=LayerPolicy(owner=OwnerRule.KEEP),
        sandbox=Sandbox(
            id_map=places.id_map,
            rootfs=plan.rootfs,
            emulate=plan.emulate,
            network=NetworkMode.HOST if plan.has_host_network else NetworkMode.NONE,
            binds=tuple(
                Bind(source=Path(source), destination=destination, read_only=is_read_only)
                for source, destination, is_read_only in plan.binds
            ),
            tmpfs=plan.tmpfs,
            memory_bytes=plan.memory_bytes,
            pids=plan.pids,
            disk_bytes=plan.disk_bytes,
            nofile=plan.nofile,
            cpus=plan.cpus,
        ),
        scratch=places.scratch,
    )
