"""Which emulation a run gets, and its memory.

What answers the calls is imported when the first one comes: most runs have ids enough.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rootrun import log
from rootrun.annotation import TYPE_CHECKING
from rootrun.dataclass import dataclass
from rootrun.fakeroot.level import Level
from rootrun.layer.compare import Ownership
from rootrun.layer.entry import DEVICE_TYPES, EntryPath
from rootrun.layer.record import Recorded
from rootrun.layer.stack import LayerStack
from rootrun.namedtuple import NamedTuple
from rootrun.request import Request
from rootrun.rootfs.backend import Rootfs
from rootrun.sandbox.idmap import IdMap, IdMapKind, first_missing
from rootrun.sandbox.restriction import is_filtered_for_set_ids, refuses_set_ids
from rootrun.sandbox.spec import Emulator

if TYPE_CHECKING:
    from rootrun.fakeroot.identities import Identities
    from rootrun.fakeroot.supervisor import Answer

AUTO = "auto"
_COVERED = "dev/"  # by our own: what the image has there is not seen


@dataclass(slots=True)
class Emulation:
    """What answers the calls of a run, and what it remembers for the diff; None: the kernel."""

    emulator: Emulator | None = None
    ownership: Ownership | None = None  # from the first call on
    identities: "Identities | None" = None  # likewise, where there is one uid


class Gaps(NamedTuple):
    """What the disk does not hold of the base."""

    owners: frozenset[EntryPath]  # paths whose owners it misstates, or that are devices
    devices: frozenset[EntryPath]


def gaps_of(stack: LayerStack, id_map: IdMap) -> Gaps:
    """Return what the disk does not hold of ``stack``, in trees made with ``id_map``."""

    def is_misstated(recorded: Recorded) -> bool:
        has_owner = id_map.has_uid(recorded.uid) and id_map.has_gid(recorded.gid)
        return recorded.type in DEVICE_TYPES or not has_owner

    shown: set[EntryPath] = set()
    for layer in stack.layers:
        shown.update(layer.record.where(is_misstated))
    shown.difference_update([path for path in shown if path.startswith(_COVERED)])
    devices = shown.intersection(stack.devices)
    if id_map.kind is IdMapKind.SINGLE:
        shown.update(*(layer.record.foreign_links for layer in stack.layers))
    return Gaps(frozenset(shown), frozenset(devices))


class EmulationPlan(NamedTuple):
    """How much is emulated, and of what."""

    level: Level
    gaps: Gaps
    id_map: IdMap
    stack: LayerStack
    is_filtered: bool  # as in a Nix build
    gains_nothing: bool  # set-id programs are as others

    @property
    def stand_ins(self) -> frozenset[EntryPath]:
        """The devices of the base that the script is shown."""
        return self.gaps.devices if self.level is Level.FULL else frozenset()


def plan_emulation(request: Request, *, id_map: IdMap, stack: LayerStack) -> EmulationPlan:
    """Decide on the emulation of a run on ``stack``."""
    gaps, is_filtered = gaps_of(stack, id_map), is_filtered_for_set_ids()
    level = level_of(request, id_map, gaps, is_filtered=is_filtered)
    gains_nothing = request.sandbox.no_new_privs
    return EmulationPlan(level, gaps, id_map, stack, is_filtered, gains_nothing)


def level_of(request: Request, id_map: IdMap, gaps: Gaps, *, is_filtered: bool) -> Level:
    """Return the level that ``request`` asks for, or the one that its id map needs.

    With ids enough, files are only remembered of what the base has no such file yet: showing it to
    the script would cost every stat(2) of it.
    """
    word = request.sandbox.emulate
    if word != AUTO:
        return Level(word)
    from rootrun.fakeroot.filters import is_known_machine

    if not is_known_machine():
        return Level.OFF
    if id_map.kind is IdMapKind.SINGLE or gaps.owners or is_filtered:
        return Level.FULL
    return Level.RECORD


@contextmanager
def emulation(planned: EmulationPlan, rootfs: Rootfs) -> Iterator[Emulation]:
    """Prepare what is ``planned`` for a run in ``rootfs``.

    Raises RootrunError for a machine whose calls are not known.
    """
    level, gaps, id_map, stack, is_filtered, gains_nothing = planned
    if level is Level.OFF:
        yield Emulation()
        return
    from rootrun.fakeroot.filters import FilterPlan
    from rootrun.fakeroot.supervisor import Supervisor

    is_lone = id_map.kind is IdMapKind.SINGLE
    is_restricted = is_filtered or (is_lone and refuses_set_ids(rootfs.upper))
    log.debug("root emulation: %s%s", level.value, ", with traps" if is_restricted else "")
    plan = FilterPlan(
        level=level,
        is_lone=is_lone,
        foreign_uid=first_missing(id_map.uids),
        foreign_gid=first_missing(id_map.gids),
        base_is_recorded=bool(gaps.owners),
        is_restricted=is_restricted,
    )
    emulated = Emulation()
    with ExitStack() as cleanup:

        def start() -> "Answer":
            from rootrun.compose.answering import answering

            recorded = stack.recorded if is_restricted else gaps.owners
            answer, emulated.ownership, emulated.identities = cleanup.enter_context(
                answering(
                    plan,
                    rootfs=rootfs,
                    stack=stack,
                    recorded=recorded,
                    gains_nothing=gains_nothing,
                )
            )
            return answer

        emulated.emulator = Supervisor(plan, start)
        yield emulated
