"""Whose a process is: the owner of its directory in /proc.

start-stop-daemon(8) and its like ask for that before they send a signal. What /proc/PID/status
says of the ids is the kernel's: for that, all opening for reading would have to be asked about.
"""

import os
import re
import stat
from contextlib import suppress

from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.upper import Status
from rootrun.layer.compare import Remembered

BELOW = b"/proc/"
_LIMIT = re.compile(rb"^Max file locks +(\d+) ", re.MULTILINE)
_MOST_BYTES = 4096


def owner_of_process(identities: Identities, fd: int, status: Status) -> Remembered | None:
    """Return the effective ids of the process, or thread, of which ``fd`` is the directory.

    None for anything else, and for what is root's. Only that directory is always owned by those
    ids: what is in it is root's while the process lets nobody look (proc(5)).
    """
    if not stat.S_ISDIR(status.mode):
        return None
    with suppress(OSError, ValueError):  # it has ended, or is none
        soft = _LIMIT.search(_limits(fd))
        owner = soft and identities.with_marker(int(soft[1]))
        if owner:
            return Remembered(owner.uids.effective, owner.gids.effective)
    return None


def _limits(directory_fd: int) -> bytes:
    """Return the content of /proc/PID/limits: its pid here, unlike there, need not be known."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open("limits", flags, dir_fd=directory_fd)
    try:
        return os.read(fd, _MOST_BYTES)
    finally:
        os.close(fd)
