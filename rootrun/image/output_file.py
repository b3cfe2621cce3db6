"""An output that appears whole or not at all: a file without a name, fsync, rename."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rootrun.errors import OutputError

STDOUT = Path("-")
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_ANONYMOUS = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC
_CHUNK_BYTES = 1 << 20


class OutputFile:
    """A file that nobody sees under the name of ``target`` before ``commit``.

    ``path`` leads to it meanwhile, in this process and in those it forks.
    """

    def __init__(self, descriptor: int, path: Path, *, target: Path, directory: Path) -> None:
        self.descriptor = descriptor
        self.path = path
        self.target = target
        self.directory = directory

    @property
    def is_kept(self) -> bool:
        """Say whether the file itself is the output, and not only on its way to stdout."""
        return self.target != STDOUT

    def write_at(self, content: bytes | memoryview, offset: int) -> None:
        """Write all of ``content`` at ``offset``."""
        with writing(self.target):
            write_at(self.descriptor, content, offset)

    def sync(self) -> None:
        """Bring the content to the disk, where it is to stay."""
        if self.is_kept:
            os.fsync(self.descriptor)

    def commit(self) -> None:
        """Give the file its name, or copy it to stdout; the file must be complete."""
        with writing(self.target):
            if not self.is_kept:
                _copy_to_stdout(self.descriptor)
                return
            os.fchmod(self.descriptor, file_mode())
            with _named(self) as path:
                os.replace(path, self.target)
            sync_directory(self.directory)


@contextmanager
def open_output_file(target: Path, *, scratch: Path) -> Iterator[OutputFile]:
    """Create the file that becomes ``target``, beside it; for stdout below ``scratch``.

    A symlink is written through, as a shell's redirection does. Without
    ``commit`` nothing stays behind. Raises OutputError, also where a rename
    would put a file in the place of a device.
    """
    with writing(target):
        final = target if target == STDOUT else _real_target(target)
        place = scratch / "stdout" if target == STDOUT else final
        descriptor, path = _create(place)
    try:
        yield OutputFile(descriptor, path, target=final, directory=place.parent)
    finally:
        os.close(descriptor)
        if path.parent == place.parent:
            path.unlink(missing_ok=True)


def _create(place: Path) -> tuple[int, Path]:
    """Create a file without a name, which the kernel removes even after a SIGKILL.

    Where the file system cannot (NFS, overlayfs before Linux 6.3) it gets a
    hidden one.
    """
    with suppress(OSError):
        descriptor = os.open(place.parent, _ANONYMOUS, 0o600)
        path = Path(f"/proc/self/fd/{descriptor}")
        if path.exists():
            return descriptor, path
        os.close(descriptor)
    path = temporary_path(place)
    return os.open(path, _FLAGS, 0o600), path


@contextmanager
def _named(output: OutputFile) -> Iterator[Path]:
    """Give the path of ``output`` in its directory, and with it a name if it has none."""
    if output.path.parent == output.directory:
        yield output.path
        return
    path = temporary_path(output.target)
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        # Without a src_dir_fd Python calls link(2), which would link the symlink in /proc.
        os.link(output.path, path, src_dir_fd=root)
        yield path
    finally:
        os.close(root)
        path.unlink(missing_ok=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what the system refuses into an OutputError that names ``target``."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader of stdout has enough, which cli/ takes for SIGPIPE
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
    if size_bytes > free_bytes and free.f_blocks:  # 0: a ramfs, or FUSE, does not tell
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
