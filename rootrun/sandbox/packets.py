"""Packets with descriptors between processes of one user (unix(7), SOCK_SEQPACKET).

``_socket`` is imported where it is needed: most runs do without, and socket.py on top of it costs
more to import than a container to start.
"""

import array
import errno
import os
from collections.abc import Sequence

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import SandboxError

if TYPE_CHECKING:
    import _socket

LONGEST_PACKET = 180_000  # bytes: what net.core.wmem_default lets through, less the kernel's own
_MOST_DESCRIPTORS = 8
_DESCRIPTOR_BYTES = array.array("i").itemsize


def open_packets() -> tuple[int, int]:
    """Return two connected sockets; by convention the first one receives."""
    import _socket

    receiver, sender = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    return receiver.detach(), sender.detach()


def socket_of(fd: int) -> "_socket.socket":
    """Return a socket object that owns ``fd``, an end of ``open_packets``."""
    import _socket

    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd)


def send_packet(sender: "_socket.socket", content: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send one packet; the receiver gets duplicates of ``descriptors``.

    Blocks as long as the receiver has too many. Raises ``SandboxError`` for one that is too long.
    """
    import _socket

    if len(content) > LONGEST_PACKET:
        raise SandboxError(f"ask a machine: {len(content)} bytes: more than {LONGEST_PACKET}")
    rights = array.array("i", descriptors)
    ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if descriptors else []
    sender.sendmsg([content], ancillary, _socket.MSG_NOSIGNAL)


def receive_packet(receiver: "_socket.socket") -> tuple[bytes, list[int]]:
    """Return one packet and the descriptors that came with it, now ours; b"" at the end."""
    import _socket

    room = _socket.CMSG_SPACE(_MOST_DESCRIPTORS * _DESCRIPTOR_BYTES)
    content, ancillary, flags, _ = receiver.recvmsg(
        LONGEST_PACKET + 1, room, _socket.MSG_CMSG_CLOEXEC
    )
    rights = array.array("i")
    for _, kind, value in ancillary:
        if kind == _socket.SCM_RIGHTS:
            rights.frombytes(value[: len(value) - len(value) % _DESCRIPTOR_BYTES])
    if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
        for fd in rights:
            os.close(fd)
        why = os.strerror(errno.EMFILE) if flags & _socket.MSG_CTRUNC else "it is too long"
        raise SandboxError(f"receive a packet: {why}")
    return content, list(rights)
