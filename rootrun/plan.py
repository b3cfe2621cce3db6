"""From a request and an image to what the run needs: checks, environment, mount points."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import EXIT_SIGNAL_BASE, ScriptError, UsageError
from rootrun.image.config import ImageConfig
from rootrun.image.derive import derive_config
from rootrun.image.digest import Digest
from rootrun.image.platform import can_run, machine_platform
from rootrun.image.source import Image
from rootrun.layer.entry import EntryPath
from rootrun.layer.stack import LayerStack
from rootrun.namedtuple import NamedTuple
from rootrun.request import STDIN, CopyIn, NetworkMode, Request
from rootrun.rootfs.mount_points import MountPoint
from rootrun.sandbox.denials import Denials
from rootrun.sandbox.idmap import IdMap, IdMapKind
from rootrun.sandbox.limits import check_limits
from rootrun.sandbox.spec import (
    BindMount,
    CommandStep,
    ContainerSpec,
    Limits,
    Outcome,
    ScriptStep,
    Step,
)

if TYPE_CHECKING:
    from rootrun.compose.additions import Additions
    from rootrun.compose.references.references import References

DEFAULT_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "TMPDIR": "/tmp",
    "LANG": "C",
    "container": "rootrun",
}
_BINFMT = "/proc/sys/fs/binfmt_misc"
_X86_OF_32_BITS = "386"  # GOARCH of an image config
_KERNEL_MOUNTS = ("proc", "dev", "sys")
HOST_NETWORK_FILES = ("etc/resolv.conf", "etc/hosts")


class LayerPlan(NamedTuple):
    """A layer to make."""

    steps: tuple[Step, ...]  # run in order; none: what is brought in makes the layer
    copies: tuple[CopyIn, ...] = ()  # before the first of them
    additions: "Additions | None" = None  # then
    references: "References | None" = None  # after the last of them
    extra: tuple[ScriptStep, ...] = ()  # before the first of them, by programs of the host

    @property
    def name(self) -> str:
        """The steps, for messages."""
        return ", ".join(step.name for step in (*self.extra, *self.steps)) or "the content"


def check_before_run(request: Request, image: Image, config: ImageConfig) -> None:
    """Refuse what cannot work before anything is unpacked; raises UsageError or SandboxError."""
    if request.has_steps and not can_run(config.architecture, emulated=_emulated()):
        raise UsageError(
            f"run image: {config.architecture}: programs of this architecture do not run here,"
            f" this machine is {machine_platform().architecture}",
            hint="--arch picks another image of an index; qemu-user-static and binfmt-support"
            " let this machine run others",
        )
    new = len(created_by(request))
    total = len(image.layers) + new
    if request.max_layers is not None and total > request.max_layers:
        raise UsageError(
            f"--max-layers: {request.max_layers}: the base has {len(image.layers)} layers,"
            f" with {'the new one' if new == 1 else f'{new} new ones'} that makes {total}",
            hint="--squash makes one layer of all scripts" if new > 1 else None,
        )
    check_limits(limits_of(request))


def limits_of(request: Request) -> Limits:
    """Return what the processes of a container together may use."""
    sandbox = request.sandbox
    return Limits(
        memory_bytes=sandbox.memory_bytes,
        pids=sandbox.pids,
        nofile=sandbox.nofile,
        cpus=sandbox.cpus,
    )


def script_environment(config: ImageConfig, *, mtime_s: int) -> dict[str, str]:
    """Return the environment of the script: fixed names, then the image's Env; nothing else."""
    environment = {**DEFAULT_ENVIRONMENT, "SOURCE_DATE_EPOCH": str(mtime_s)}
    for entry in config.env:
        name, _, value = entry.partition("=")
        environment[name] = value
    return environment


def planned_config(
    request: Request, base: ImageConfig, diff_ids: tuple[Digest, ...]
) -> ImageConfig:
    """Return the configuration of an image with the layers ``diff_ids``, as the user edits it."""
    return derive_config(
        base,
        architecture=request.architecture,
        diff_ids=diff_ids,
        edits=request.edits,
        created=request.created,
        created_by=created_by(request),
    )


def describe(id_map: IdMap) -> str:
    """Return what the user should know of the id map, once."""
    if id_map.kind is IdMapKind.SINGLE:
        return f"{id_map.reason}; one uid and gid exist"
    return id_map.reason


def check_outcome(outcome: Outcome, spec: ContainerSpec) -> None:
    """Raise ScriptError unless the last step ended with status 0."""
    name = spec.steps[outcome.step].name
    hint = None
    is_lone = spec.id_map.kind is IdMapKind.SINGLE
    if spec.emulator is None and is_lone and spec.host_tree is None:
        hint = "only one uid and gid exist in there: see USER NAMESPACES in rootrun(1)"
    if outcome.signal_number is not None:
        number = outcome.signal_number
        raise ScriptError(
            f"run script: {name}: killed by signal {number}",
            exit_code=EXIT_SIGNAL_BASE + number,
            hint=hint,
        )
    if outcome.exit_status:
        raise ScriptError(
            f"run script: {name}: ended with status {outcome.exit_status}",
            exit_code=outcome.exit_status,
            hint=hint,
        )


def _emulated() -> list[str]:
    """Return the architectures whose programs binfmt_misc hands to an emulator."""
    try:
        registered = os.listdir(_BINFMT)
    except OSError:
        return []
    machines = [name.removeprefix("qemu-") for name in registered if name.startswith("qemu-")]
    return [machine_platform(machine).architecture for machine in machines]


def created_by(request: Request) -> tuple[str, ...]:
    """Return the command of each new layer, for the image's history; without paths of this host."""
    if request.command:
        return (shlex.join(["rootrun", "--", *request.command]),)
    if not request.has_steps:
        return (shlex.join(["rootrun", *_brought_in(request)]),)
    scripts = [["--script", script.name] for script in request.scripts]
    if request.is_squashed:
        scripts = [[word for words in scripts for word in words]]
    return tuple(shlex.join(["rootrun", *words]) for words in scripts)


def _brought_in(request: Request) -> Iterator[str]:
    for copy in request.copies:
        yield from ("--copy", f"{copy.source.name}:{copy.destination}")
    for helper in request.helpers:
        yield from ("--with", helper.in_words)
    for registration in request.registrations:
        yield from ("--nix-db", registration.name)
    for script in request.extra_scripts:
        yield from ("--extra-script", script.name)


def mount_points(request: Request, stack: LayerStack) -> list[MountPoint]:
    """Return where something is mounted in the root, the user's paths as the image has them."""
    points = [MountPoint(path=EntryPath(name)) for name in _KERNEL_MOUNTS]
    for bind in request.sandbox.binds:
        place = inside(bind.destination, stack)
        points.append(
            MountPoint(
                path=place,
                is_directory=os.path.isdir(bind.source),
                replaces_file=bind.covers_symlink,
            )
        )
    points += [MountPoint(path=inside(place, stack)) for place in request.sandbox.tmpfs]
    _refuse_doubles(points)
    if request.sandbox.network is NetworkMode.HOST:
        taken = {point.path for point in points}  # by a bind of the user's, which then wins
        points += [
            MountPoint(path=EntryPath(name), is_directory=False, replaces_file=True)
            for name in HOST_NETWORK_FILES
            if os.path.exists(f"/{name}") and EntryPath(name) not in taken
        ]
    return points


def _refuse_doubles(points: list[MountPoint]) -> None:
    """Raise UsageError where one mount would cover another, or the whole root."""
    taken = {EntryPath("")}
    for point in points:
        if point.path in taken:
            why = "something else is mounted there" if point.path else "it is the root itself"
            raise UsageError(f"mount: /{point.path}: {why}")
        taken.add(point.path)


def inside(path: str, stack: LayerStack) -> EntryPath:
    """Return where the absolute ``path`` of the user leads in the image.

    The directories above it may be symlinks, ``/var/run`` is one nearly everywhere.
    """
    head, _, name = path.strip("/").rpartition("/")
    directory = stack.resolve(EntryPath(head)) if head else ""
    return EntryPath(f"{directory}/{name}".strip("/"))


def plan_layers(request: Request) -> tuple[LayerPlan, ...]:
    """Return the layers to make, the scripts read; raises UsageError if one cannot be."""
    additions = references = None
    if request.helpers or request.registrations:
        from rootrun.compose.additions import additions_of  # few need it

        additions = additions_of(request)
    if request.references:
        from rootrun.compose.references.references import read_references  # likewise

        references = read_references(request.references)
    extra = _read_scripts("--extra-script", request.extra_scripts)
    first = LayerPlan((), request.copies, additions, references, extra)
    if request.command:
        return (first._replace(steps=(CommandStep(request.command),)),)
    steps = _read_scripts("--script", request.scripts)
    if request.is_squashed or not steps:
        return (first._replace(steps=steps),)
    others = [LayerPlan((step,), references=references) for step in steps[1:]]
    return (first._replace(steps=steps[:1]), *others)


def container_spec(
    request: Request,
    stack: LayerStack,
    *,
    steps: tuple[Step, ...],
    config: ImageConfig,
    id_map: IdMap,
    root: Path,
) -> ContainerSpec:
    """Return the container in which ``steps`` run; ``config`` is the new image's."""
    sandbox = request.sandbox
    return ContainerSpec(
        root=root,
        steps=steps,
        environment=script_environment(config, mtime_s=request.policy.mtime_s),
        id_map=id_map,
        working_directory=sandbox.working_directory or "/",
        user=sandbox.user,
        has_host_network=sandbox.network is NetworkMode.HOST,
        binds=tuple(
            BindMount(bind.source, f"/{inside(bind.destination, stack)}", bind.read_only)
            for bind in sandbox.binds
        ),
        tmpfs=tuple(f"/{inside(place, stack)}" for place in sandbox.tmpfs),
        denials=_denials(sandbox.seccomp, config),
        # With one id set-id programs gain nothing in the kernel, only what is emulated.
        has_no_new_privs=sandbox.no_new_privs or id_map.kind is IdMapKind.SINGLE,
        limits=limits_of(request),
    )


def _denials(wanted: str, config: ImageConfig) -> Denials:
    if wanted != "auto":
        return Denials(wanted)
    # All sockets of such images are made by socketcall(2), also those that packages cannot do
    # without, as PostgreSQL's initdb cannot.
    return Denials.SOCKETCALL if config.architecture == _X86_OF_32_BITS else Denials.ON


def _read_scripts(option: str, paths: tuple[Path, ...]) -> tuple[ScriptStep, ...]:
    return tuple(ScriptStep(str(path), _read_script(option, path)) for path in paths)


def _read_script(option: str, path: Path) -> bytes:
    try:
        if path == STDIN:
            with open(0, "rb", closefd=False) as stdin:
                return stdin.read()
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{option}: {os.fspath(path)!r}: {error.strerror}") from error
