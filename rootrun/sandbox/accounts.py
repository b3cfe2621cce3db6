"""Who a USER[:GROUP] is, by the container's own passwd and group files."""

import os
import stat
from collections.abc import Iterator

from rootrun.errors import RootrunError, SandboxError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.beneath import open_beneath

PASSWD = "/etc/passwd"
GROUP = "/etc/group"

_LARGEST_FILE = 4 << 20  # bytes


class Identity(NamedTuple):
    """Ids inside the container."""

    uid: int
    gid: int
    groups: tuple[int, ...]  # supplementary


ROOT = Identity(0, 0, ())


def resolve_user(user: str | None) -> Identity:
    """Return the ids of ``user``; call it inside, after the root switch.

    As the image-spec has it for ``User``: names and numbers are taken; without a group the user's
    own one and all that list the user apply, with a group only that; a number that passwd(5) lacks
    has group 0. Raises ``RootrunError`` for a name that is not there.
    """
    if user is None:
        return ROOT
    name, _, group = user.partition(":")
    entry = _passwd_entry(name)
    if entry is None and not name.isdecimal():
        raise _unknown("user", user, name, PASSWD)
    uid, own_gid = (int(entry[2]), int(entry[3])) if entry else (int(name), 0)
    if group:
        return Identity(uid, _gid(group, user), ())
    # The own group is among them, and first, as initgroups(3) has it.
    groups = (own_gid, *_groups_of(entry[0])) if entry else (own_gid,)
    return Identity(uid, own_gid, tuple(dict.fromkeys(groups)))


def _passwd_entry(name: str) -> list[str] | None:
    entries = [entry for entry in _entries(PASSWD, fields=7) if _are_numbers(entry[2:4])]
    named = next((entry for entry in entries if entry[0] == name), None)
    return named or next((entry for entry in entries if entry[2] == name), None)


def _gid(group: str, user: str) -> int:
    for name, _, gid, _ in _entries(GROUP, fields=4):
        if name == group and gid.isdecimal():
            return int(gid)
    if group.isdecimal():
        return int(group)
    raise _unknown("group", user, group, GROUP)


def _groups_of(name: str) -> Iterator[int]:
    for _, _, gid, members in _entries(GROUP, fields=4):
        if name in members.split(",") and gid.isdecimal():
            yield int(gid)


def _are_numbers(fields: list[str]) -> bool:
    return all(field.isdecimal() for field in fields)


def _entries(path: str, *, fields: int) -> Iterator[list[str]]:
    for line in _content(path).decode(errors="surrogateescape").splitlines():
        entry = line.split(":")
        if len(entry) == fields:
            yield entry


def _content(path: str) -> bytes:
    # The image chose what is there: a symlink into /proc, a fifo, a device or something endless.
    root_fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        at = open_beneath(root_fd, path, purpose="read")
    except FileNotFoundError:
        return b""
    finally:
        os.close(root_fd)
    try:
        if not stat.S_ISREG(os.fstat(at).st_mode):
            raise SandboxError(f"read {path}: {path}: is no ordinary file in the image")
        with open(f"/proc/self/fd/{at}", "rb") as file:
            return file.read(_LARGEST_FILE)
    finally:
        os.close(at)


def _unknown(kind: str, user: str, name: str, path: str) -> RootrunError:
    return RootrunError(
        f"run as {user}: {kind} {name}: not in the image's {path}",
        hint="numbers need no entry there; who is to be made by the script goes into --config",
    )
