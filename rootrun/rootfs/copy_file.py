"""Copying the content of files between trees, by the cheapest way that both of them have."""

import errno
import fcntl
import os

from rootrun.layer.content import data_of

_FICLONE = 0x40049409  # linux/fs.h; not that of mips, powerpc and sparc, which say ENOTTY
_BLOCK = 1 << 30
# What says "not here, not so"; EPERM and ENOSYS come from seccomp filters.
_REFUSED = frozenset(
    {
        *(errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY),
        *(errno.EPERM, errno.ENOSYS, errno.EBADF),
    }
)


class ContentCopier:
    """Copies files into one file system: reflink, else copy_file_range(2), else sendfile(2).

    Never as a hard link: the script could write through it. What a file system refuses is not
    tried again. ``reflinks`` and ``copies`` count what was made.
    """

    def __init__(self) -> None:
        self.reflinks = self.copies = 0
        self._without_reflink: set[int] = set()  # device numbers of sources
        self._without_range: set[int] = set()

    def copy(self, source_fd: int, target_fd: int, status: os.stat_result) -> None:
        """Fill the empty file ``target_fd``; ``status`` is fstat(2) of the source. Raises OSError.

        Holes stay holes.
        """
        if not status.st_size:
            return
        device = status.st_dev
        if device not in self._without_reflink:
            try:
                fcntl.ioctl(target_fd, _FICLONE, source_fd)
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
                self._without_reflink.add(device)
            else:
                self.reflinks += 1
                return
        self.copies += 1
        end = 0
        for start, end in data_of(source_fd, status):
            self._copy_range(source_fd, target_fd, start, end, device=device)
        if end < status.st_size:
            os.ftruncate(target_fd, status.st_size)

    def _copy_range(
        self, source_fd: int, target_fd: int, start: int, end: int, *, device: int
    ) -> None:
        while start < end and device not in self._without_range:
            try:
                count = os.copy_file_range(
                    source_fd, target_fd, min(end - start, _BLOCK), start, start
                )
            except OSError as error:
                if error.errno not in _REFUSED:
                    raise
                count = 0
            if not count:  # some file systems say so and mean that they do not
                self._without_range.add(device)
            start += count
        if start < end:
            os.lseek(target_fd, start, os.SEEK_SET)
        while start < end:
            count = os.sendfile(target_fd, source_fd, start, min(end - start, _BLOCK))
            if not count:
                raise OSError(errno.EIO, "ends before its size")
            start += count
