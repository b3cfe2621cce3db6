"""Memory of another process, with the rights that the process itself has to its pages.

Unlike /proc/PID/mem, nothing is written to pages that are read-only (process_vm_readv(2)).
"""

import errno
import os

from rootrun.sandbox import syscalls

_PATH_MAX = 4096  # the terminating NUL included
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def read_memory(pid: int, address: int, size_bytes: int) -> bytes:
    """Return exactly that much; raise EFAULT if not all of it is readable, ESRCH without process.

    EPERM: it may not be inspected.
    """
    content = syscalls.read_process(pid, address, size_bytes)
    if len(content) != size_bytes:
        raise _fault()
    return content


def read_path(pid: int, address: int) -> bytes:
    """Return the NUL-terminated string at ``address``, without its NUL.

    A page is read only if the string goes on there. Raises EFAULT as the kernel would, and
    ENAMETOOLONG beyond 4096 bytes.
    """
    path = b""
    while len(path) < _PATH_MAX:
        position = address + len(path)
        wanted = min(_PATH_MAX - len(path), _PAGE_BYTES - position % _PAGE_BYTES)
        text, terminator, _ = read_memory(pid, position, wanted).partition(b"\0")
        path += text
        if terminator:
            return path
    raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))


def write_memory(pid: int, address: int, content: bytes) -> None:
    """Write ``content``; raise EFAULT if not all of it is writable, ESRCH without process."""
    if syscalls.write_process(pid, address, content) != len(content):
        raise _fault()


def _fault() -> OSError:
    return OSError(errno.EFAULT, os.strerror(errno.EFAULT))
