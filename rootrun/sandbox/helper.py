"""The one way to run an external program."""

import errno
import os
import select
import signal
from collections.abc import Sequence
from contextlib import suppress

from rootrun import log
from rootrun.errors import HelperError
from rootrun.sandbox import syscalls
from rootrun.sandbox.forking import fork_child, signals_blocked

_PACKAGES = {"newuidmap": "uidmap", "newgidmap": "uidmap", "skopeo": "skopeo", "man": "man-db"}
_PACKAGES |= {"pasta": "passt"}
_STDERR_KEPT = 65536  # bytes, from the end
_EXIT_CANNOT_EXECUTE = 126
_EXIT_NOT_FOUND = 127


def run_helper(argv: Sequence[str], *, stdin: bytes = b"") -> bytes:
    """Run a program found on PATH and return what it wrote to stdout.

    It dies with this process, whatever ends it. Raises ``HelperError`` with the last line of its
    stderr if it fails, or with the package to install if it is not there.
    """
    return run_helpers(argv, stdin=stdin)[0]


def run_helpers(*argvs: Sequence[str], stdin: bytes = b"") -> list[bytes]:
    """Run several programs at once, wait for all, and return what each wrote to stdout.

    The same ``stdin``, at most as long as a pipe holds (64 KiB), goes to each of them.
    """
    running: list[_Helper] = []
    try:
        running.extend(_Helper(argv, stdin) for argv in argvs)
        return [helper.finish() for helper in running]
    finally:
        for helper in running:
            helper.end()


class _Helper:
    """One running program, and the pipes of its output."""

    __slots__ = ("_argv", "_output", "_pid", "_status")

    def __init__(self, argv: Sequence[str], stdin: bytes) -> None:
        _log_command(argv)
        self._argv = [*argv]
        self._status: int | None = None
        with signals_blocked():
            pipes = [os.pipe() for _ in range(3)]
            inside = (pipes[0][0], pipes[1][1], pipes[2][1])
            self._output = {pipes[1][0]: b"", pipes[2][0]: b""}
            self._pid = fork_child(lambda: _execute(self._argv, inside))
            for fd in inside:
                os.close(fd)
        with suppress(BrokenPipeError), open(pipes[0][1], "wb", buffering=0) as writer:
            writer.write(stdin)

    def finish(self) -> bytes:
        """Collect the output, wait for the end and return stdout; raises if it failed."""
        self._drain()
        _, status = os.waitpid(self._pid, 0)
        self._status = os.waitstatus_to_exitcode(status)
        stdout, stderr = self._output.values()
        if self._status != 0:
            raise _failure(self._argv, self._status, stderr)
        return stdout

    def end(self) -> None:
        """Close the pipes, and kill the program if nobody waited for it to end."""
        for fd in self._output:
            os.close(fd)
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    def _drain(self) -> None:
        _, stderr_fd = self._output
        poller = select.poll()
        waiting = set(self._output)
        for fd in waiting:
            poller.register(fd, select.POLLIN)
        while waiting:
            for fd, _ in poller.poll():
                chunk = os.read(fd, 65536)
                self._output[fd] += chunk
                if not chunk:
                    poller.unregister(fd)
                    waiting.discard(fd)
            self._output[stderr_fd] = self._output[stderr_fd][-_STDERR_KEPT:]


class BackgroundHelper:
    """A program found on PATH that works for this process, and dies with it."""

    def __init__(self, argv: Sequence[str]) -> None:
        _log_command(argv)
        self._argv = [*argv]
        self._told = os.memfd_create("helper")
        nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        with signals_blocked():
            self._pid = fork_child(lambda: _execute(self._argv, (nothing, self._told, self._told)))
        os.close(nothing)
        self._is_over = False
        self._status = 0

    def check(self) -> None:
        """Raise ``HelperError`` if it has ended."""
        pid, status = (0, 0) if self._is_over else os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._is_over = True
            self._status = os.waitstatus_to_exitcode(status)
        if self._is_over:
            raise _failure(self._argv, self._status, os.pread(self._told, _STDERR_KEPT, 0))

    def end(self) -> None:
        """End it, and wait for that."""
        if not self._is_over:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._told)


def _execute(argv: list[str], descriptors: tuple[int, int, int]) -> None:
    for number, fd in enumerate(descriptors):
        os.dup2(fd, number)
    syscalls.close_descriptors_from(len(descriptors))  # the caller's may be inheritable
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    syscalls.reset_internal_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    code = _EXIT_NOT_FOUND
    for directory in os.get_exec_path():
        try:
            os.execv(os.path.join(directory, argv[0]), argv)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR}:
                code = _EXIT_CANNOT_EXECUTE
    os._exit(code)


def _failure(argv: Sequence[str], status: int, stderr: bytes) -> HelperError:
    name = os.path.basename(argv[0])
    lines = stderr.decode(errors="replace").strip().splitlines()
    if status == _EXIT_NOT_FOUND and not lines:
        package = _PACKAGES.get(name)
        hint = f"install the package {package} (Debian, Ubuntu)" if package else None
        return HelperError(f"run {name}: {name}: not found on PATH", hint=hint)
    if status == _EXIT_CANNOT_EXECUTE and not lines:
        return HelperError(f"run {name}: {name}: cannot be executed")
    how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    return HelperError(f"run {name}: {lines[-1] if lines else how}")


def _log_command(argv: Sequence[str]) -> None:
    if log.is_debugging():
        import shlex

        log.debug("run %s", shlex.join(argv))
