"""An output that appears whole or not at all: a temporary file, fsync, rename."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rootrun.errors import OutputError

STDOUT = Path("-")
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_CHUNK_BYTES = 1 << 20


class OutputFile:
    """A file that is written under a name of its own; ``commit`` gives it the target's."""

    def __init__(self, descriptor: int, path: Path, *, target: Path) -> None:
        self.descriptor = descriptor
        self.path = path
        self._target = target

    @property
    def target(self) -> Path:
        """What the user called the output."""
        return self._target

    def write_at(self, content: bytes | memoryview, offset: int) -> None:
        """Write all of ``content`` at ``offset``."""
        with writing(self._target):
            write_at(self.descriptor, content, offset)

    def sync(self) -> None:
        """Bring the content to the disk, where it is to stay."""
        if self._target != STDOUT:
            os.fsync(self.descriptor)

    def commit(self) -> None:
        """Give the file its name, or copy it to stdout; the file must be complete."""
        with writing(self._target):
            if self._target == STDOUT:
                _copy_to_stdout(self.descriptor)
                return
            os.fchmod(self.descriptor, file_mode())
            os.replace(self.path, self._target)
            sync_directory(self._target.parent)


@contextmanager
def open_output_file(target: Path, *, scratch: Path) -> Iterator[OutputFile]:
    """Create the temporary file for ``target``, beside it; for stdout below ``scratch``.

    A symlink is written through, as a shell's redirection does. Without
    ``commit`` nothing stays behind. Raises OutputError, also where a rename
    would put a file in the place of a device.
    """
    with writing(target):
        final = target if target == STDOUT else _real_target(target)
        place = scratch / "stdout" if target == STDOUT else final
        temporary = temporary_path(place)
        descriptor = os.open(temporary, _FLAGS, 0o600)
    try:
        yield OutputFile(descriptor, temporary, target=final)
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            os.unlink(temporary)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what the system refuses into an OutputError that names ``target``."""
    try:
        yield
    except OSError as error:
        called = "stdout" if target == STDOUT else target
        raise OutputError(f"write image: {called}: {error.strerror}") from error


def temporary_path(target: Path) -> Path:
    """Return a new hidden name beside ``target``, within 255 bytes."""
    name = os.fsdecode(os.fsencode(target.name)[:200])
    return target.with_name(f".{name}.{os.urandom(4).hex()}")


def file_mode() -> int:
    """Return the mode of a new file as the umask of the caller leaves it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return 0o666 & ~umask


def sync_directory(directory: Path) -> None:
    """Bring the names in ``directory`` to the disk (fsync(2): a file's own fsync does not)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_space(directory: Path, size_bytes: int, *, target: Path) -> None:
    """Raise OutputError if ``directory`` cannot hold ``size_bytes`` more."""
    with writing(target):
        free = os.statvfs(directory)
    free_bytes = free.f_bavail * free.f_frsize
    if size_bytes > free_bytes:
        raise OutputError(
            f"write image: {target}: No space left on device:"
            f" the base alone needs {size_bytes >> 20} MiB, {free_bytes >> 20} MiB are free"
        )


def write_at(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    """Write all of ``content`` at ``offset``; the descriptor's own offset stays.

    The process that copies the base shares the descriptor, so nobody may use that.
    """
    view = memoryview(content)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view = view[count:]
        offset += count


def _real_target(target: Path) -> Path:
    final = Path(os.path.realpath(target))
    try:
        mode = os.stat(final).st_mode
    except FileNotFoundError:
        return final
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OutputError(
            f"write image: {target}: not a regular file", hint="write it as --output - > FILE"
        )
    return final


def _copy_to_stdout(descriptor: int) -> None:
    offset = 0
    while content := os.pread(descriptor, _CHUNK_BYTES, offset):
        offset += len(content)
        view = memoryview(content)
        while view:
            view = view[os.write(1, view) :]
