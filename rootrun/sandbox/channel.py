"""The pipes between the main process and those of a container, and a socket for descriptors."""

import fcntl
import os
from contextlib import suppress

from rootrun.namedtuple import NamedTuple
from rootrun.sandbox import syscalls
from rootrun.sandbox.packets import open_packets

_GO = b"g"
_END = b"e"
_FIRST_FREE = 3  # after stdin, stdout and stderr


class InnerChannel(NamedTuple):
    """The ends that monitor and init hold: messages go out, permission to go on comes in."""

    status: int
    go: int
    handover: int  # of listeners, by whoever becomes a step
    requests: int  # for a container that serves

    def wait_for_go(self) -> None:
        """Block until the main process says so; end at once if it says that, or is gone."""
        if os.read(self.go, 1) != _GO:
            os._exit(1)

    def keep_only_this(self) -> "InnerChannel":
        """Close all other descriptors above stderr, whoever opened them."""
        for fd in {*range(_FIRST_FREE, max(self))}.difference(self):
            with suppress(OSError):
                os.close(fd)  # now, so that there is room where few are allowed
        syscalls.close_descriptors_from(max(self) + 1)
        # In two steps, as one may be where another is to go.
        end = _FIRST_FREE + len(self)
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, end) for fd in self]
        kept = InnerChannel(*range(_FIRST_FREE, end))
        for old, new in zip(high, kept, strict=True):
            os.dup2(old, new, inheritable=False)
        syscalls.close_descriptors_from(end)
        return kept


class OuterChannel(NamedTuple):
    """The ends that the main process holds."""

    status: int
    go: int
    handover: int
    requests: int

    def let_go(self) -> None:
        """Let init go on; one that is dead by now is noticed elsewhere."""
        try:
            os.write(self.go, _GO)
        except BrokenPipeError:
            return

    def let_end(self) -> None:
        """Let init end instead of going on."""
        with suppress(BrokenPipeError):
            os.write(self.go, _END)

    def close(self) -> None:
        """Close all ends."""
        for fd in self:
            os.close(fd)


def open_channel(*, hands_over: bool, serves: bool = False) -> tuple[OuterChannel, InnerChannel]:
    """Make all of them; each side closes the ends of the other.

    Without ``hands_over`` nothing can be handed over, and a pipe that nobody uses stands there; the
    same holds for requests, of which there are none unless it ``serves``.
    """
    status_reader, status_writer = os.pipe()
    go_reader, go_writer = os.pipe()
    asked, asking = open_packets() if serves else os.pipe()
    receiver, sender = open_packets() if hands_over else os.pipe()
    outer = OuterChannel(status_reader, go_writer, receiver, asking)
    return outer, InnerChannel(status_writer, go_reader, sender, asked)
