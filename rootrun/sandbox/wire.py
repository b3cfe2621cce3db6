"""Messages from a forked child to its parent: JSON lines over a close-on-exec pipe."""

import errno
import json
import os

from rootrun import errors
from rootrun.errors import RootrunError, SandboxError, ScriptError
from rootrun.namedtuple import NamedTuple

# Characters, of up to six bytes each in JSON: message and hint stay below PIPE_BUF, beyond which
# the lines of two processes may interleave (pipe(7)).
_LONGEST_TEXT = 300


class Message(NamedTuple):
    """One line: what it is about, then values whose number and types depend on that."""

    kind: str
    values: tuple[str | int | float | None, ...]


class MessageReader:
    """Cuts what arrives on a pipe into messages."""

    __slots__ = ("_fd", "_rest", "is_at_end")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self.is_at_end = False

    def read(self) -> list[Message]:
        """Return the messages that are there; blocks if there is nothing at all.

        Sets ``is_at_end`` once no process holds the other end any more.
        """
        chunk = os.read(self._fd, 65536)
        self.is_at_end = not chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [decode(line) for line in lines]


def encode(kind: str, *values: str | int | float | None) -> bytes:
    """Return the line of one message."""
    return json.dumps([kind, *values], separators=(",", ":")).encode() + b"\n"


def send(fd: int, kind: str, *values: str | int | float | None) -> None:
    """Write one message; a parent that is gone is no error, the kernel ends us soon enough."""
    try:
        os.write(fd, encode(kind, *values))
    except OSError as error:
        if error.errno not in {errno.EPIPE, errno.ECONNRESET}:  # the latter: of a socket
            raise


def send_error(fd: int, error: BaseException, *, stage: str, longest: int = _LONGEST_TEXT) -> None:
    """Send what went wrong, so that ``error_from`` can raise it in the parent.

    A ``RootrunError`` travels as it is; an ``OSError`` becomes a ``SandboxError`` about ``stage``.
    Where nobody else writes to ``fd`` a text may have more than the default of ``longest``
    characters.
    """
    told = error if isinstance(error, RootrunError) else _told(error, stage)
    known = next(kind for kind in type(told).__mro__ if kind.__module__ == errors.__name__)
    hint = None if told.hint is None else told.hint[:longest]
    send(fd, "error", known.__name__, str(told)[:longest], hint, told.exit_code)


def error_from(message: Message) -> RootrunError:
    """Return the error that ``send_error`` described, in its own class."""
    name, text, hint, exit_code = message.values
    hint = None if hint is None else str(hint)
    kind: type[RootrunError] = getattr(errors, str(name))
    if kind is ScriptError:
        return ScriptError(str(text), exit_code=int(exit_code or 0), hint=hint)
    return kind(str(text), hint=hint)


def _told(error: BaseException, stage: str) -> RootrunError:
    if isinstance(error, MemoryError):
        return SandboxError(f"{stage}: out of memory")
    if not isinstance(error, OSError):
        return SandboxError(f"{stage}: internal error: {type(error).__name__}: {error}")
    reason = error.strerror or str(error)
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    return SandboxError(f"{stage}: {where}{reason}")


def decode(line: bytes) -> Message:
    """Return the message that ``encode`` made a line of."""
    kind, *values = json.loads(line)
    return Message(kind, tuple(values))
