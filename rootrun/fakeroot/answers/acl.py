"""ACLs that name ids which are not mapped: the kernel gets id 0 for them, and they are remembered.

Layers keep no ACLs, so that this is for the script alone.
"""

import os
from collections.abc import Callable, Mapping

from rootrun.fakeroot import calls
from rootrun.fakeroot.acl import (
    DEFAULT,
    MOST_BYTES,
    NAMES,
    Acl,
    acl_value,
    lone_acl,
    parse_acl,
    shown_acl,
)
from rootrun.fakeroot.answers.xattr_call import (
    Room,
    attribute_of,
    flags_of,
    give,
    link_to,
    operand,
)
from rootrun.fakeroot.caller import Caller
from rootrun.fakeroot.credentials import Credentials
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.ownership import FileKey, OnDisk, OwnershipMemory
from rootrun.fakeroot.permission import check_owner
from rootrun.fakeroot.upper import Status, path_of, status_of
from rootrun.layer.compare import Remembered


def acl_answers(
    files: Files, credentials_of: Callable[[Caller], Credentials]
) -> Mapping[str, Handler]:
    """Return what answers the calls that set or get ACLs, and leaves other attributes alone."""
    acls = _Acls(files, credentials_of)
    return {
        **dict.fromkeys(calls.SET_XATTR, acls.answer_set),
        **dict.fromkeys(calls.GET_XATTR, acls.answer_get),
    }


class _Acls:
    def __init__(self, files: Files, credentials_of: Callable[[Caller], Credentials]) -> None:
        self._files = files
        self._credentials_of = credentials_of
        # Known by the same keys as owners are, but the diff must not see them.
        self._memory = OwnershipMemory(files.tree.living)
        self._room = Room()

    def answer_set(self, caller: Caller, name: str) -> int | None:
        attribute, size = attribute_of(caller), caller.arguments[3]
        if attribute not in NAMES or size > MOST_BYTES:
            return None
        value = caller.read(caller.arguments[2], size)
        true = parse_acl(value)
        if true is None:
            return None
        with operand(caller, name) as (fd, status):
            if not self._files.tree.has(status) or not caller.is_in_container_userns():
                return None
            if true == lone_acl(true) and not self._memory:
                return None
            check_owner(self._credentials_of(caller), self._files.known(fd, status))
            lone = acl_value(lone_acl(true))
            os.setxattr(link_to(fd), attribute, lone, flags_of(caller))
            self._remember(fd, attribute, value)
        return 0

    def answer_get(self, caller: Caller, name: str) -> int | None:
        if not self._memory or attribute_of(caller) not in NAMES:
            return None
        attribute = attribute_of(caller)
        with operand(caller, name) as (fd, status):
            if not self._files.tree.has(status) or not caller.is_in_container_userns():
                return None
            on_disk = parse_acl(os.getxattr(link_to(fd), attribute))
            shown = self._shown(attribute, on_disk, fd, status) if on_disk else None
        if shown is None:
            return None
        _, _, address, size, *_ = caller.arguments
        return give(caller, address, size, acl_value(shown))

    def _shown(self, attribute: str, on_disk: Acl, fd: int, status: Status) -> Acl | None:
        """Return what the file got, or else has from a directory above it; None: as on the disk."""
        known = self._known(status.key).get(attribute)
        if known is None and any(entry.is_named for entry in on_disk):
            above = map(self._known, self._files.tree.keys_above(fd, status))
            known = next((acls[DEFAULT] for acls in above if DEFAULT in acls), None)
        true = None if known is None else parse_acl(known)
        return None if true is None else shown_acl(on_disk, true)

    def _known(self, key: FileKey) -> Mapping[str, bytes]:
        known = self._memory.recall(key, OnDisk(0, 0, 0, 0))
        return {} if known is None or known.xattrs is None else known.xattrs

    def _remember(self, fd: int, attribute: str, value: bytes) -> None:
        status = status_of(fd)  # in the upper by now
        known = self._known(status.key)
        self._room.take(attribute, value, old=known.get(attribute))
        key = self._files.tree.key(fd, status, path_of(fd))
        remembered = Remembered(xattrs={**known, attribute: value})
        self._memory.remember(key, remembered, seen_as=status.key)
