"""What a container is to be, and what became of it: the values of ``run_container``."""

from collections.abc import Mapping
from pathlib import Path

from rootrun.annotation import Protocol
from rootrun.dataclass import dataclass
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.denials import Denials
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.notify import Listener, SystemCall

HOSTNAME = "rootrun"
HOST_TREE = "/dev/.rootrun/tree"  # where a container with the root of the host has its tree


class ScriptStep(NamedTuple):
    """A script to run: its shebang is honoured, without one it is ``/bin/sh -e``."""

    name: str  # as the user spelled it, for messages
    content: bytes


class CommandStep(NamedTuple):
    """A command to run, found on the PATH of the container's environment."""

    argv: tuple[str, ...]

    @property
    def name(self) -> str:
        """The command's name, for messages."""
        return self.argv[0]


Step = ScriptStep | CommandStep


class BindMount(NamedTuple):
    """A path of the host to be seen at ``destination``, whose mount point must be there."""

    source: Path
    destination: str  # absolute, inside
    is_read_only: bool = False


class Emulator(Protocol):
    """What answers system calls of the steps in the kernel's place (seccomp(2))."""

    @property
    def program(self) -> bytes:
        """The filter, an array of struct sock_filter, that each step starts under."""

    @property
    def wants_listener(self) -> bool:
        """Whether the filter asks (SECCOMP_RET_USER_NOTIF)."""

    @property
    def fallback_program(self) -> bytes:
        """The filter instead where no listener is to be had: before Linux 5.0, below another's."""

    @property
    def emulates_ids(self) -> bool:
        """Whether ``program`` answers the calls that set ids: then a step may be any user."""

    @property
    def traps(self) -> bool:
        """Whether ``program`` has traps (SECCOMP_RET_TRAP): then the steps are traced."""

    @property
    def untrapped_program(self) -> bytes:
        """The filter instead of ``program`` where nothing may be traced; it must not trap."""

    def answer_trap(self, call: SystemCall) -> int:
        """Return what a trapped call is to return; an ``OSError`` makes it fail with its errno.

        Whatever else is raised ends the container. A hostile process can make up a trap of its own:
        any architecture, number and arguments may come.
        """

    def serve(self, listener: Listener) -> None:
        """Answer the call that ``listener`` has; signals and timeouts wait meanwhile.

        Whatever it raises ends the container.
        """


class Conditions(NamedTuple):
    """What a container can be given otherwise than usual, as far as this kernel lets us."""

    skipped_pids: int  # not given to the steps
    cpu_count: int
    uptime_offset_s: int  # of the clocks that count from the start of the machine


class Limits(NamedTuple):
    """What all processes of a container together may use; None: as much as there is."""

    memory_bytes: int | None = None
    pids: int | None = None  # processes and threads at a time, without those of rootrun
    nofile: int | None = None  # open descriptors of each process
    cpus: float | None = None  # processors' worth of time


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """One container. ``steps`` run in order, each if the one before had status 0.

    With a ``host_tree`` the steps have no rights but over files, and reach no process of the host.
    """

    root: Path  # a mounted overlay or any directory; it holds the mount points proc, sys and dev
    # Then the root is the host's own, to be read alone, at ``root``, which is an empty directory,
    # and this is what can be written, at HOST_TREE.
    host_tree: Path | None = None
    steps: tuple[Step, ...]
    serves: bool = False  # instead of steps: commands are asked for while it runs, see serving
    environment: Mapping[str, str]  # whole: nothing is added or inherited
    id_map: IdMap  # the one in force
    working_directory: str = "/"
    user: str | None = None  # USER[:GROUP], names of the container or numbers; None: 0:0
    hostname: str = HOSTNAME
    has_host_network: bool = False
    binds: tuple[BindMount, ...] = ()
    tmpfs: tuple[str, ...] = ()  # absolute paths inside
    timeout_s: float | None = None  # for all steps together
    denials: Denials = Denials.ON
    has_no_new_privs: bool = False  # set-id programs gain nothing
    limits: Limits = NO_LIMITS
    has_root_in_memory: bool = False  # what is written to ``root`` is on a tmpfs
    emulator: Emulator | None = None  # of what the id map makes impossible
    conditions: Conditions | None = None  # None: as they are


class Outcome(NamedTuple):
    """How the last step that ran ended, and what all of them used."""

    step: int  # index of that step
    exit_status: int | None  # None if a signal ended it
    signal_number: int | None
    wall_s: float
    cpu_s: float  # of all processes, also those that were killed at the end
    # Of all at a time: as the control group says, else the most of the samples and of the biggest
    # process, which is never less than that of the forked Python.
    peak_memory_bytes: int
    started_count: int  # processes and threads
    has_warned: bool = False  # something could not be as it should, and was told

    def and_then(self, later: "Outcome") -> "Outcome":
        """Return how ``later`` ended, with what both used, one after the other."""
        return later._replace(
            wall_s=self.wall_s + later.wall_s,
            cpu_s=self.cpu_s + later.cpu_s,
            peak_memory_bytes=max(self.peak_memory_bytes, later.peak_memory_bytes),
            started_count=self.started_count + later.started_count,
            has_warned=self.has_warned or later.has_warned,
        )
