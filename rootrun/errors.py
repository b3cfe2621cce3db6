"""The one tree of errors: message, hint and exit status travel together.

RootrunError
    UsageError             the command line asks for something impossible
    ImageError             an image cannot be read
        DigestMismatchError    content is not what its digest says
    LayerError             a layer tar cannot be read or unpacked
        UnsafeEntryError       an entry would reach outside the rootfs
    StoreError             the cache cannot be used
    OutputError            the new image cannot be written
    SandboxError           the kernel refuses a step of the sandbox
        NamespaceError         user namespaces or id maps are not to be had
    LimitError             the script takes more than --memory, --pids or --disk allows
    NotReproducibleError   --check found that a second run gives another layer
    HelperError            an external program failed (newuidmap, skopeo)
    ScriptError            the script itself ended badly; the status is its own
        ScriptTimeoutError     --timeout was reached
        CommandNotFoundError   127
        CommandNotExecutableError 126
    MachineError           a machine of the test harness is not as it should be
        MachineGoneError       it ended while something was asked of it
        MachineTimeoutError    what was waited for did not come in time
        CommandError           a command ended as it should not
Interrupted                a signal asks rootrun to stop; not an Exception, so nothing swallows it
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_ROOTRUN_FAILED = 125
EXIT_TIMEOUT = 124
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_SIGNAL_BASE = 128


class RootrunError(Exception):
    """A failure that a user can act on, told as ``what: which: why``."""

    exit_code = EXIT_ROOTRUN_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(RootrunError):
    """The command line asks for something that cannot be."""


class ImageError(RootrunError):
    """An image cannot be found, read or trusted."""


class DigestMismatchError(ImageError):
    """Content is not what its digest says."""


class LayerError(RootrunError):
    """A layer tar cannot be read, unpacked or written."""


class UnsafeEntryError(LayerError):
    """A layer's entry would reach outside the rootfs."""


class StoreError(RootrunError):
    """The cache of unpacked layers cannot be used."""


class OutputError(RootrunError):
    """The new image cannot be written."""


class SandboxError(RootrunError):
    """The kernel refuses a step on the way into the sandbox."""


class NamespaceError(SandboxError):
    """User namespaces or their id maps are not to be had here."""


class LimitError(RootrunError):
    """The script took more than it was allowed to; the message names the limit."""


class NotReproducibleError(RootrunError):
    """A second run under other conditions gave another layer."""


class HelperError(RootrunError):
    """An external program that rootrun relies on failed."""


class ScriptError(RootrunError):
    """The script ended badly; ``exit_code`` is its own status, or 128+N on signal N."""

    def __init__(self, message: str, *, exit_code: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class ScriptTimeoutError(ScriptError):
    """The script was ended because it ran longer than ``--timeout`` (status 124, timeout(1))."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, exit_code=EXIT_TIMEOUT, hint=hint)


class CommandNotExecutableError(ScriptError):
    """The script or command was found and cannot be executed (status 126)."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, exit_code=EXIT_NOT_EXECUTABLE, hint=hint)


class CommandNotFoundError(ScriptError):
    """The command, or the interpreter of the script, is not in the image (status 127)."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, exit_code=EXIT_NOT_FOUND, hint=hint)


class MachineError(RootrunError):
    """A machine of the test harness cannot do what it is asked for, or is not as expected."""


class MachineGoneError(MachineError):
    """A machine ended while something was asked of it."""


class MachineTimeoutError(MachineError):
    """What a test waited for did not come in time."""


class CommandError(MachineError):
    """A command in a machine ended as it should not."""


class Interrupted(BaseException):
    """A signal asks rootrun to stop; ends in exit status 128+``signal_number``."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


@contextmanager
def told_as(kind: type[RootrunError], what: str, place: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system refuses into a ``kind`` that says what was being done, and where.

    That is the path that the system names, or ``place`` where it names none, or a part of one.
    BrokenPipeError passes: the reader of stdout has enough, which cli/ takes for SIGPIPE.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise kind(f"{what}: {place_of(error, place)}: {reason_of(error)}") from error


def place_of(error: OSError, place: str | os.PathLike[str]) -> str:
    """Return the absolute path that ``error`` names, else ``place``."""
    named = error.filename
    is_path = isinstance(named, str | bytes | os.PathLike) and os.path.isabs(named)
    return os.fsdecode(named if is_path else place)


def reason_of(error: OSError) -> str:
    """Return the system's words for ``error``."""
    return error.strerror or str(error)
