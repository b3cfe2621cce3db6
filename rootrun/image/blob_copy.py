"""Blobs pass from one place to another byte for byte, and are verified there."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from rootrun.dataclass import replace
from rootrun.errors import ImageError
from rootrun.image.blob import Blob, open_regular
from rootrun.image.image import Layer
from rootrun.image.output_file import file_mode, write_at
from rootrun.image.stream import open_layer

CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
"""How a blob's file is opened, which is a new one."""

_CHUNK_BYTES = 1 << 20
# The disk writes one while the next is copied. Of larger ones the kernel drops what was written,
# and a reader of the output would have to fetch it.
_RANGE_BYTES = 1 << 24
LARGE_BYTES = _RANGE_BYTES
"""From what size on a copy is brought to the disk by who copies it, and not only at the end."""

# Other file systems (before Linux 5.19), special ones, and seccomp filters that do not know it.
_NO_COPY_FILE_RANGE = {
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EBADF,
}
# Another file system, fs.protected_hardlinks, too many links, or no links at all.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS}


def link_or_copy(blob: Blob, path: Path, *, is_kept: bool = True) -> None:
    """Make the file ``path`` of ``blob``: a link where nobody can change that but its owner.

    Its owner must be who we are. A large copy is on the disk then if it ``is_kept``. Raises
    OSError, and ImageError as ``copy_blob`` does.
    """
    if _link(blob, path):
        return
    descriptor = os.open(path, CREATE, 0o666)
    try:
        copy_blob(blob, into=descriptor, at=0, is_kept=is_kept)
        if is_kept and blob.size_bytes >= LARGE_BYTES:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_blob(blob: Blob, *, into: int, at: int, is_kept: bool = True) -> None:
    """Copy ``blob`` to the offset ``at`` of the descriptor ``into``, in the kernel if it can.

    File systems that share extents do so: copy_file_range(2) tries that first. If the copy
    ``is_kept``, the disk begins to write it at once: the fsync to come has little left to do.
    Raises ImageError if the blob's file has become too short.
    """
    source, _ = open_regular(blob.path)
    try:
        done = _copy_in_kernel(source, blob, into=into, at=at, is_kept=is_kept)
        while done < blob.size_bytes:
            wanted = min(_CHUNK_BYTES, blob.size_bytes - done)
            content = os.pread(source, wanted, blob.offset + done)
            if not content:
                raise ImageError(f"read image: {blob.path}: the file ends too early")
            write_at(into, content, at + done)
            done += len(content)
    finally:
        os.close(source)


def _copy_in_kernel(source: int, blob: Blob, *, into: int, at: int, is_kept: bool) -> int:
    """Return how many bytes were copied; the rest is to be read and written."""
    done = 0
    while done < blob.size_bytes:
        wanted = min(_RANGE_BYTES, blob.size_bytes - done)
        try:
            count = os.copy_file_range(source, into, wanted, blob.offset + done, at + done)
        except OSError as error:
            if error.errno in _NO_COPY_FILE_RANGE:
                return done
            raise
        if not count:
            return done  # the end of the file, or a file system that cannot and does not say so
        if is_kept and count == _RANGE_BYTES:
            begin_writing_back(into, at + done, count)
        done += count
    return done


def begin_writing_back(descriptor: int, offset: int, size_bytes: int) -> None:
    """Have the disk begin to write what is new, without waiting for it (mm/fadvise.c).

    Pages that still have to be written stay in memory, whatever the name of the advice says.
    """
    with suppress(OSError):  # a file system, or a kernel, without it
        os.posix_fadvise(descriptor, offset, size_bytes, os.POSIX_FADV_DONTNEED)


def _link(blob: Blob, path: Path) -> bool:
    source = os.path.realpath(blob.path)
    if not blob.whole_file or not _is_safe_to_share(os.stat(source)):
        return False
    try:
        os.link(source, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def _is_safe_to_share(status: os.stat_result) -> bool:
    readable = file_mode() & 0o444
    mode = stat.S_IMODE(status.st_mode)
    return status.st_uid == os.geteuid() and not mode & 0o022 and mode & readable == readable


def verify_copy(layer: Layer, path: Path, *, offset: int) -> None:
    """Raise DigestMismatchError unless the copy of ``layer`` at ``path`` is what it should be.

    The copy is read, not the source: so it is what was written that is known to be right.
    """
    copy = Blob(path, offset, layer.blob.size_bytes, whole_file=False)
    with open_layer(replace(layer, blob=copy)) as stream:
        stream.verify()
