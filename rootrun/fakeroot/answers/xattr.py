"""Extended attributes where a filter above forbids them: those that a layer keeps are remembered.

All others are refused as that filter refuses them. A capability goes with a chown(2), as it does
on any Linux; that it goes with a write(2) too is not seen here.
"""

import errno
import os
import stat
import struct
from collections.abc import Callable, Mapping

from rootrun.fakeroot import calls
from rootrun.fakeroot.answers.xattr_call import (
    Room,
    attribute_of,
    flags_of,
    give,
    link_to,
    operand,
)
from rootrun.fakeroot.caller import Caller, no_such
from rootrun.fakeroot.credentials import CAP_FOWNER, CAP_SETFCAP, Credentials
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.permission import READ, WRITE, check_access
from rootrun.fakeroot.upper import Status
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import is_kept_xattr
from rootrun.layer.metadata import CAPABILITY, portable_capability

_USER = "user."  # by itself it is no name
_LARGEST = 65536  # XATTR_SIZE_MAX
_MOST_NAMES = 64
_MOST_BYTES = 65536  # of a file's attributes together
# struct vfs_ns_cap_data (linux/capability.h): revision and flags, two pairs of words, root id.
_MAGIC, _ROOT_ID = struct.Struct("<I"), struct.Struct("<20xI")
_EFFECTIVE = 1
_REVISIONS = {20: 0x02000000, 24: 0x03000000}  # by size


def xattr_answers(
    files: Files, credentials_of: Callable[[Caller], Credentials]
) -> Mapping[str, Handler]:
    """Return what answers all calls about extended attributes."""
    attributes = _Attributes(files, credentials_of)
    return {
        **dict.fromkeys(calls.SET_XATTR, attributes.answer_set),
        **dict.fromkeys(calls.GET_XATTR, attributes.answer_get),
        **dict.fromkeys(calls.LIST_XATTR, attributes.answer_list),
        **dict.fromkeys(calls.REMOVE_XATTR, attributes.answer_remove),
    }


class _Attributes:
    def __init__(self, files: Files, credentials_of: Callable[[Caller], Credentials]) -> None:
        self._files = files
        self._credentials_of = credentials_of
        self._room = Room()

    def answer_set(self, caller: Caller, name: str) -> int:
        flags, attribute = flags_of(caller), _kept_attribute(caller)
        _, _, address, size, *_ = caller.arguments
        if size > _LARGEST:
            raise no_such(errno.E2BIG)
        value = caller.read(address, size) if size else b""
        if attribute == CAPABILITY:
            value = _checked_capability(value)
        with operand(caller, name) as (fd, status):
            self._check_change(caller, attribute, fd, status)
            old = self._attributes(fd, status)
            if attribute in old and flags & os.XATTR_CREATE:
                raise no_such(errno.EEXIST)
            if attribute not in old and flags & os.XATTR_REPLACE:
                raise no_such(errno.ENODATA)
            new = {**old, attribute: value}
            if len(new) > _MOST_NAMES or sum(map(len, new.values())) > _MOST_BYTES:
                raise no_such(errno.ENOSPC)
            self._room.take(attribute, value, old=old.get(attribute))
            self._note(fd, new)
        return 0

    def answer_remove(self, caller: Caller, name: str) -> int:
        attribute = _kept_attribute(caller)
        with operand(caller, name) as (fd, status):
            self._check_change(caller, attribute, fd, status)
            left = self._attributes(fd, status)
            if attribute not in left:
                raise no_such(errno.ENODATA)
            self._room.give_back(attribute, left.pop(attribute))
            self._note(fd, left)
        return 0

    def answer_get(self, caller: Caller, name: str) -> int:
        attribute = attribute_of(caller)
        with operand(caller, name) as (fd, status):
            if is_kept_xattr(attribute) and self._files.tree.has(status):
                value = self._value(caller, attribute, fd, status)
            else:  # the kernel's own answer, and the filter's: this process is below it as well
                value = os.getxattr(link_to(fd), attribute)
        _, _, address, size, *_ = caller.arguments
        return give(caller, address, size, value)

    def answer_list(self, caller: Caller, name: str) -> int:
        with operand(caller, name) as (fd, status):
            names = os.listxattr(link_to(fd))
            if self._files.tree.has(status):
                others = [found for found in names if not is_kept_xattr(found)]
                names = [*others, *self._attributes(fd, status)]
        content = b"".join(os.fsencode(found) + b"\0" for found in names)
        _, address, size, *_ = caller.arguments
        return give(caller, address, size, content)

    def _value(self, caller: Caller, attribute: str, fd: int, status: Status) -> bytes:
        if attribute != CAPABILITY:
            known = self._files.known(fd, status)
            if not _may_have_user_attributes(known.mode):
                raise no_such(errno.ENODATA)
            check_access(self._credentials_of(caller), known, READ)
        _check_suffix(attribute)
        value = self._attributes(fd, status).get(attribute)
        if value is None:
            raise no_such(errno.ENODATA)
        return value

    def _check_change(self, caller: Caller, attribute: str, fd: int, status: Status) -> None:
        """Apply the rules of xattr(7)."""
        if not self._files.tree.has(status):
            raise no_such(errno.ENOTSUP)
        known, credentials = self._files.known(fd, status), self._credentials_of(caller)
        has_user_attributes = _may_have_user_attributes(known.mode)
        if attribute == CAPABILITY:
            if not credentials.has(CAP_SETFCAP):
                raise no_such(errno.EPERM)
            if not has_user_attributes:  # disks have it, layers have not
                raise no_such(errno.ENOTSUP)
            return
        is_owner = credentials.has(CAP_FOWNER) or credentials.uids.file_system == known.uid
        is_sticky = stat.S_ISDIR(known.mode) and known.mode & stat.S_ISVTX
        if not has_user_attributes or (is_sticky and not is_owner):
            raise no_such(errno.EPERM)
        check_access(credentials, known, WRITE)
        _check_suffix(attribute)

    def _attributes(self, fd: int, status: Status) -> dict[str, bytes]:
        """Return what a file has of the attributes that a layer keeps."""
        recalled = self._files.recall(fd, status)
        if recalled is None or recalled.xattrs is None:
            return _attributes_on_disk(fd)
        return dict(recalled.xattrs)

    def _note(self, fd: int, xattrs: Mapping[str, bytes]) -> None:
        status = os.stat(link_to(fd))
        os.utime(link_to(fd), ns=(status.st_atime_ns, status.st_mtime_ns))  # copied up for the key
        self._files.note(fd, Remembered(xattrs=xattrs))


def _kept_attribute(caller: Caller) -> str:
    attribute = attribute_of(caller)
    if not is_kept_xattr(attribute):
        raise no_such(errno.ENOTSUP)
    return attribute


def _check_suffix(attribute: str) -> None:
    if attribute == _USER:
        raise no_such(errno.EINVAL)


def _may_have_user_attributes(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _attributes_on_disk(fd: int) -> dict[str, bytes]:
    """Return those that the disk has after all, as far as the filter has them read."""
    found = {}
    for name in filter(is_kept_xattr, os.listxattr(link_to(fd))):
        try:
            value = os.getxattr(link_to(fd), name)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
        else:
            found[name] = portable_capability(value) if name == CAPABILITY else value
    return found


def _checked_capability(value: bytes) -> bytes:
    """Return a capability as the kernel hands it out here; EINVAL if it takes no such thing."""
    revision = _REVISIONS.get(len(value))
    if revision is None or _MAGIC.unpack_from(value)[0] & ~_EFFECTIVE != revision:
        raise no_such(errno.EINVAL)
    if len(value) == _ROOT_ID.size and _ROOT_ID.unpack(value) != (0,):
        raise no_such(errno.EINVAL)  # of a root that is not mapped
    return portable_capability(value)
