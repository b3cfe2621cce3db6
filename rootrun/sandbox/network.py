"""The loopback of a new network namespace."""

import fcntl
import os
import struct

from rootrun.sandbox import syscalls

_AF_INET = 2
_SOCK_DGRAM = 2
_SOCK_CLOEXEC = os.O_CLOEXEC  # the same bit (socket(2))
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1
_IFREQ = struct.Struct("16sh22x")  # netdevice(7): a name, then here the flags


def bring_loopback_up() -> None:
    """Bring ``lo`` up: 127.0.0.1 and ::1 answer (netdevice(7))."""
    fd = syscalls.open_socket(_AF_INET, _SOCK_DGRAM | _SOCK_CLOEXEC)
    try:
        answer = fcntl.ioctl(fd, _SIOCGIFFLAGS, _IFREQ.pack(b"lo", 0))
        flags = _IFREQ.unpack(answer)[1]
        fcntl.ioctl(fd, _SIOCSIFFLAGS, _IFREQ.pack(b"lo", flags | _IFF_UP))
    finally:
        os.close(fd)
