"""Whom a socket is connected with (SO_PEERCRED in unix(7)).

The kernel tells who it was at the time of connect(2), or of listen(2); of who is not root to the
container, this tells who it is now. Of a process that has ended, it is the kernel's word: root.
"""

import os
import struct
from collections.abc import Mapping
from functools import partial

from rootrun.fakeroot.caller import Caller, signed
from rootrun.fakeroot.credentials import ROOT, Credentials
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.process_status import read_process_status
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.syscalls import syscall

_PIDFD_OPEN, _PIDFD_GETFD = 434, 438  # since Linux 5.3 and 5.6
_SOL_SOCKET, _SO_PEERCRED, _SO_LINGER = 1, 17, 13
_AF_UNIX = 1
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
_LENGTH = struct.Struct("=i")
_NO_LINGER = bytes(8)  # struct linger


class _Peer(NamedTuple):
    """The other side of a socket: its process by its pid as the caller knows it."""

    pid: int
    credentials: Credentials


def peer_answers(identities: Identities) -> Mapping[str, Handler]:
    """Return what answers getsockopt(2) of SO_PEERCRED."""
    return {"getsockopt": partial(_answer, identities)}


def _answer(identities: Identities, caller: Caller, _: str) -> int | None:
    number, level, option, address, length_address = caller.arguments[:5]
    if (level & 0xFFFFFFFF, option & 0xFFFFFFFF) != (_SOL_SOCKET, _SO_PEERCRED):
        return None
    try:
        peer = _peer(identities, caller, signed(number))
    except OSError:
        return None  # no socket, or nobody any more: the kernel's word
    if peer is None or not caller.is_in_container_userns():
        return None
    (room,) = _LENGTH.unpack(caller.read(length_address, _LENGTH.size))
    if room < 0:
        return None
    ids = (peer.credentials.uids.effective, peer.credentials.gids.effective)
    content = _CREDENTIALS.pack(peer.pid, *ids)[:room]
    caller.write(address, content)
    caller.write(length_address, _LENGTH.pack(len(content)))
    return 0


def _peer(identities: Identities, caller: Caller, number: int) -> _Peer | None:
    """Return who is at the other end; None for root, and where there is nobody."""
    status = read_process_status(caller.pid)
    caller.check_alive()
    pid = _peer_pid(status.process, number)
    if pid <= 0:
        return None
    credentials = identities.of(pid)
    if credentials is ROOT:
        return None
    # A pid namespace of the caller's own is as deep as it has pids.
    its = read_process_status(pid).pids[len(status.pids) - 1 :]
    return _Peer(its[0] if its else 0, credentials)


def _peer_pid(process: int, number: int) -> int:
    """Return the peer's pid, by a duplicate of the socket that tells it as we see it."""
    import _socket  # loaded since the container's handover

    pidfd = syscall("pidfd_open", _PIDFD_OPEN, process, 0)
    try:
        fd = syscall("pidfd_getfd", _PIDFD_GETFD, pidfd, number, 0)
    finally:
        os.close(pidfd)
    try:
        socket = _socket.socket(-1, -1, -1, fd)
    except OSError:
        os.close(fd)
        raise
    try:
        if socket.family != _AF_UNIX:
            # Ours may be the last one by now, and its close would wait for data to get away.
            socket.setsockopt(_SOL_SOCKET, _SO_LINGER, _NO_LINGER)
            return 0
        pid, _, _ = _CREDENTIALS.unpack(
            socket.getsockopt(_SOL_SOCKET, _SO_PEERCRED, _CREDENTIALS.size)
        )
    finally:
        socket.close()
    return int(pid)
