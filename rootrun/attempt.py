"""One run of the steps of a layer in a root of their own, ready to start."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rootrun import log
from rootrun.annotation import TYPE_CHECKING
from rootrun.compose.base_image import Base
from rootrun.compose.copy_in import copy_in
from rootrun.compose.emulation import Emulation, emulation, plan_emulation
from rootrun.dataclass import replace
from rootrun.errors import LayerError, told_as
from rootrun.image.config import ImageConfig
from rootrun.layer.compare import DiffNotes
from rootrun.layer.diff import Change
from rootrun.layer.entry import EntryPath, EntryType
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.stack import LayerStack
from rootrun.namedtuple import NamedTuple
from rootrun.plan import LayerPlan, check_outcome, container_spec, mount_points
from rootrun.request import Request
from rootrun.rootfs.backend import ON_TMPFS, Rootfs, open_rootfs
from rootrun.sandbox.child import ChildTask
from rootrun.sandbox.container import run_container
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.spec import Conditions, ContainerSpec, Outcome

if TYPE_CHECKING:
    from rootrun.compose.references.references import References

_NOTHING_RAN = Outcome(
    step=0,
    exit_status=0,
    signal_number=None,
    wall_s=0.0,
    cpu_s=0.0,
    peak_memory_bytes=0,
    started_count=0,
)
_SHORTEST_S = 0.001
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP


class Job(NamedTuple):
    """What is run, and in what."""

    request: Request
    base: Base  # with the layers of earlier steps on top
    config: ImageConfig  # of the new image
    plan: LayerPlan
    id_map: IdMap
    timeout_s: float | None

    @property
    def is_alone(self) -> bool:
        """Whether the layer is made of its copies whatever the base has.

        As dockerTools does it (mkPureLayer), and leaves its root writable for user and group.
        """
        plan = self.plan
        is_pure = not (plan.steps or plan.additions or plan.references)
        return is_pure and self.request.policy.shape.has_all_copies


class Attempt(NamedTuple):
    """A root for the steps of a job, and their container."""

    policy: LayerPolicy
    rootfs: Rootfs
    specs: tuple[ContainerSpec, ...]  # that run one after the other
    timeout_s: float | None  # of all of them together
    emulated: Emulation
    disk_bytes: int | None  # the limit of what may be changed
    config: ImageConfig  # of the new image
    references: "References | None"

    def run(self, *, alongside: Sequence[ChildTask] = ()) -> Outcome:
        """Run the steps, as ``run_container`` does.

        Then bring in what the change refers to. Raises ScriptError unless all went well, and
        LimitError for too large a change. Without steps there is no container.
        """
        outcome = self._run_steps(alongside) if self.specs else _NOTHING_RAN
        if self.references:
            self._bring(self.references)
        return outcome

    def _run_steps(self, alongside: Sequence[ChildTask]) -> Outcome:
        with ExitStack() as cleanup:
            tasks, disk = list(alongside), None
            if self.disk_bytes is not None:
                from rootrun.rootfs.disk_limit import DiskWatch

                disk = DiskWatch(self.rootfs, self.disk_bytes)
                tasks.append(cleanup.enter_context(disk.watching()))
            outcome = _NOTHING_RAN
            for spec in self.specs:
                left_s = timeout_left_s(self.timeout_s, outcome.wall_s)
                ended = run_container(replace(spec, timeout_s=left_s), alongside=tasks)
                if disk is not None:
                    disk.check()  # before the outcome: a script may fail for want of room
                check_outcome(ended, spec)
                outcome = outcome.and_then(ended)
        return outcome

    def _bring(self, references: "References") -> None:
        from rootrun.compose.references.references import OPTION, bring

        with told_as(LayerError, OPTION, self.rootfs.root):
            needed = references.needed(self.changes(DiffNotes()), self.config)
        bring(needed, root=self.rootfs.root, mtime_s=self.policy.mtime_s)

    def changes(self, notes: DiffNotes) -> Iterable[Change]:
        """Return what the container, which has ended, changed; see ``Rootfs.changes``."""
        changes = self.rootfs.changes(self.policy, notes, ownership=self.emulated.ownership)
        if self.disk_bytes is None:
            return changes
        from rootrun.rootfs.disk_limit import within

        return within(changes, self.disk_bytes)


def _bring_in(job: Job, rootfs: Rootfs, *, scratch: Path) -> None:
    """Make what is there before the steps."""
    root, mtime_s = rootfs.root, job.request.policy.mtime_s
    copy_in(job.plan.copies, root=root, mtime_s=mtime_s)
    if job.is_alone:
        os.chmod(root, stat.S_IMODE(os.stat(root).st_mode) | _WRITABLE)
        _tell_replaced_links(root, job.base.stack)
    additions, references = job.plan.additions, job.plan.references
    if not additions:
        return
    if references:
        from rootrun.compose.references.references import bring

        registered = references.among(one.path for one in additions.registrations)
        bring(registered, root=root, mtime_s=mtime_s)
    from rootrun.compose.additions import add

    add(additions, root=root, scratch=scratch, mtime_s=mtime_s)


def _tell_replaced_links(root: Path, base: LayerStack) -> None:
    """Warn of what a layer that is made alone does to links as ``/bin`` of the base."""
    for name in sorted(os.listdir(root)):
        below = base.find(EntryPath(name))
        if below and below.entry.type is EntryType.SYMLINK and not (root / name).is_symlink():
            log.warning("/%s: a symlink of the base, which the layer replaces", name)


@contextmanager
def attempt(
    job: Job,
    *,
    scratch: Path,
    conditions: Conditions | None = None,
    prefers_tmpfs: bool = False,
) -> Iterator[Attempt]:
    """Make a root below ``scratch`` and the container that is to run in it."""
    request = job.request
    with prepared_root(job, scratch=scratch, prefers_tmpfs=prefers_tmpfs) as (
        rootfs,
        emulated,
        last,
    ):
        specs = (*_extra(job, rootfs.root, scratch), last)
        in_memory = last.has_root_in_memory
        yield Attempt(
            policy=request.policy,
            rootfs=rootfs,
            specs=tuple(
                replace(spec, conditions=conditions, has_root_in_memory=in_memory)
                for spec in specs
                if spec.steps
            ),
            timeout_s=job.timeout_s,
            emulated=emulated,
            disk_bytes=request.sandbox.disk_bytes,
            config=job.config,
            references=job.plan.references,
        )


class PreparedRoot(NamedTuple):
    """A root, what is emulated in it, and the container for the steps of its job."""

    rootfs: Rootfs
    emulated: Emulation
    spec: ContainerSpec


@contextmanager
def prepared_root(
    job: Job, *, scratch: Path, prefers_tmpfs: bool = False
) -> Iterator[PreparedRoot]:
    """Make a root below ``scratch``, with what is brought in before the steps."""
    request, stack = job.request, LayerStack() if job.is_alone else job.base.stack
    planned = plan_emulation(request, id_map=job.id_map, stack=stack)
    with ExitStack() as cleanup:
        rootfs = cleanup.enter_context(
            open_rootfs(
                stack,
                scratch=scratch,
                memory=job.base.cache.probe_memory,
                mount_points=mount_points(request, stack),
                stand_ins=planned.stand_ins,
                wanted=ON_TMPFS if prefers_tmpfs else request.sandbox.rootfs,
            )
        )
        _bring_in(job, rootfs, scratch=scratch)
        emulated = cleanup.enter_context(emulation(planned, rootfs))
        spec = container_spec(
            request,
            stack,
            steps=job.plan.steps,
            config=job.config,
            id_map=job.id_map,
            root=rootfs.root,
        )
        in_memory = rootfs.tmpfs is not None
        yield PreparedRoot(
            rootfs,
            emulated,
            replace(spec, emulator=emulated.emulator, has_root_in_memory=in_memory),
        )


def _extra(job: Job, root: Path, scratch: Path) -> tuple[ContainerSpec, ...]:
    if not job.plan.extra:
        return ()
    from rootrun.extra_script import extra_spec  # few need it

    steps = job.plan.extra
    return (extra_spec(job.request, steps, id_map=job.id_map, root=root, scratch=scratch),)


def timeout_left_s(timeout_s: float | None, used_s: float) -> float | None:
    """Return what is left of a timeout: something, since none is told by the container."""
    return None if timeout_s is None else max(_SHORTEST_S, timeout_s - used_s)
