"""POSIX ACLs as extended attributes have them (linux/posix_acl_xattr.h), for a lone id.

The kernel refuses an ACL that names ids which are not mapped. With id 0 in their place it takes it,
and does all that an ACL is for: mask, mode bits and inheritance.
"""

import struct
from collections.abc import Iterable

from rootrun.namedtuple import NamedTuple

DEFAULT = "system.posix_acl_default"
NAMES = frozenset({"system.posix_acl_access", DEFAULT})
MOST_BYTES = 4096
"""More than the one block that disks have for all attributes of a file."""

_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_VERSION = 2
_USER, _GROUP = 0x02, 0x08
_NAMED = (_USER, _GROUP)


class AclEntry(NamedTuple):
    """A line of an ACL; ``id`` is of a user or group that is named, else all ones."""

    tag: int
    permissions: int
    id: int

    @property
    def is_named(self) -> bool:
        """Whether it is about a user or group by its id."""
        return self.tag in _NAMED

    @property
    def lone(self) -> "AclEntry":
        """The entry where there is no other id than 0."""
        return self._replace(id=0) if self.is_named else self


Acl = tuple[AclEntry, ...]


def parse_acl(value: bytes) -> Acl | None:
    """Return the ACL of an attribute's value, None if it is none."""
    if len(value) < _HEADER.size or (len(value) - _HEADER.size) % _ENTRY.size:
        return None
    if _HEADER.unpack_from(value) != (_VERSION,):
        return None
    return tuple(AclEntry(*entry) for entry in _ENTRY.iter_unpack(value[_HEADER.size :]))


def acl_value(acl: Iterable[AclEntry]) -> bytes:
    """Return the value that ``parse_acl`` reads."""
    return _HEADER.pack(_VERSION) + b"".join(_ENTRY.pack(*entry) for entry in acl)


def lone_acl(acl: Acl) -> Acl:
    """Return ``acl`` with id 0 for all that it names; the same if there are no others."""
    return tuple(entry.lone for entry in acl)


def shown_acl(on_disk: Acl, true: Acl) -> Acl | None:
    """Return the ACL of a file that got ``lone_acl(true)``, None if it got another one since.

    A chmod(2) of the meantime has changed permissions in it, and no more than that.
    """
    if [(entry.tag, entry.id) for entry in on_disk] != [
        (entry.tag, entry.id) for entry in lone_acl(true)
    ]:
        return None
    return tuple(
        entry._replace(permissions=found.permissions)
        for entry, found in zip(true, on_disk, strict=True)
    )
