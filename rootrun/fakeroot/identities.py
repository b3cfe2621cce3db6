"""Which process has which credentials, where the kernel has one uid for all of them.

The soft RLIMIT_LOCKS of a process holds a marker. The kernel itself hands resource limits on over
fork(2), and keeps them over execve(2), so that no birth or death has to be followed; and this one
limits nothing since Linux 2.4.25 (getrlimit(2)). Calls that get or set it are answered without
(``rootrun.fakeroot.answers.limits``), else a process that sets all its limits would be root again.
"""

import errno
import os
import resource
from contextlib import suppress

from rootrun.fakeroot.credentials import ROOT, Credentials

_MARKED = 10  # RLIMIT_LOCKS, which Python has no name for
_FIRST = 1 << 40
_MOST = 4096
_MOST_GROUPS = 1 << 19  # in all of them together: more than eight processes with NGROUPS_MAX each


class Identities:
    """The credentials of the processes of a container."""

    def __init__(self) -> None:
        self.limit = resource.getrlimit(_MARKED)  # what a process is told that it is
        _, hard = self.limit
        # A soft limit cannot be above the hard one. What a process starts with is no marker.
        self._next = _FIRST if hard == resource.RLIM_INFINITY else min(_FIRST, hard // 2)
        self._credentials: dict[int, Credentials] = {}
        self._markers: dict[Credentials, int] = {}
        self._groups = 0

    def __len__(self) -> int:
        return len(self._markers)

    def of(self, pid: int) -> Credentials:
        """Return what ``pid``, a process or a thread of it, is: ``ROOT`` unless it changed."""
        return self._credentials.get(resource.prlimit(pid, _MARKED)[0], ROOT)

    def with_marker(self, marker: int) -> Credentials | None:
        """Return what processes with that soft limit are; None for what is no marker: of root."""
        return self._credentials.get(marker)

    def become(self, pid: int, credentials: Credentials) -> None:
        """Make a process, and those that it starts from now on, be ``credentials``.

        EAGAIN if there are too many different ones at a time.
        """
        _, hard = resource.prlimit(pid, _MARKED)
        marker = hard if credentials == ROOT else self._marker(credentials)
        try:
            resource.prlimit(pid, _MARKED, (marker, hard))
        except ValueError as error:  # EINVAL: the process has lowered its hard limit
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error

    def _marker(self, credentials: Credentials) -> int:
        marker = self._markers.get(credentials)
        if marker is not None:
            return marker
        if self._is_full(credentials):
            self._sweep()
            if self._is_full(credentials):
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        # Never one that was in use: a process that the sweep missed, born meanwhile, is root again
        # and not somebody else.
        marker = self._next
        self._next += 1
        self._markers[credentials] = marker
        self._credentials[marker] = credentials
        self._groups += len(credentials.groups)
        return marker

    def _is_full(self, credentials: Credentials) -> bool:
        groups = self._groups + len(credentials.groups)
        return len(self._markers) >= _MOST or groups > _MOST_GROUPS

    def _sweep(self) -> None:
        """Forget what no living process is."""
        alive = {_marker_of(int(name)) for name in os.listdir("/proc") if name.isdecimal()}
        for marker in self._credentials.keys() - alive:
            credentials = self._credentials.pop(marker)
            del self._markers[credentials]
            self._groups -= len(credentials.groups)


def _marker_of(pid: int) -> int | None:
    with suppress(ProcessLookupError, PermissionError):  # not ours
        return resource.prlimit(pid, _MARKED)[0]
    return None
