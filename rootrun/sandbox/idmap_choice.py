"""Choosing an id map: which of root, subids and single this caller can have."""

import os

from rootrun.errors import NamespaceError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox import syscalls
from rootrun.sandbox.idmap import Extent, IdMap, IdMapKind, identity, parse_map

SUBUID_FILE = "/etc/subuid"
SUBGID_FILE = "/etc/subgid"
AUTO = "auto"

_MAP_PROGRAMS = ("newuidmap", "newgidmap")
_FIRST_SUBID = 100_000  # as useradd(8) counts
_USUAL_COUNT = 65_536
_MOST_EXTENTS = 340  # of one map (user_namespaces(7))


class Refusal(NamedTuple):
    """Why a map cannot be had, and what would change that."""

    reason: str
    hint: str


def choose_id_map(requested: str) -> IdMap:
    """Return the best id map for ``auto``, or the one that ``requested`` names.

    Reads what the system says and starts no program, so that a map may still be refused when it
    is written; one chosen by ``auto`` then falls back. Raises ``NamespaceError`` if the named one
    cannot be.
    """
    if requested == AUTO:
        return _best_id_map()
    match IdMapKind(requested):
        case IdMapKind.ROOT:
            candidate = root_id_map()
        case IdMapKind.SUBIDS:
            candidate = subids_id_map()
        case IdMapKind.SINGLE:
            return single_id_map("as requested")
    if isinstance(candidate, Refusal):
        raise NamespaceError(f"id map: {requested}: {candidate.reason}", hint=candidate.hint)
    return candidate


def root_id_map(*, may_fall_back: bool = False) -> IdMap | Refusal:
    """Return the identity map of all ids of this namespace; its root alone can have it."""
    uids = parse_map(_content("/proc/self/uid_map"))
    gids = parse_map(_content("/proc/self/gid_map"))
    if os.geteuid() != 0:
        return Refusal("the caller is not root", "--idmap auto takes what there is")
    if sum(e.count for e in uids) < 2 or sum(e.count for e in gids) < 2:
        return Refusal("root of a namespace with one id", "--idmap auto takes what there is")
    return IdMap(
        kind=IdMapKind.ROOT,
        uids=identity(uids),
        gids=identity(gids),
        reason="root: the caller is root",
        may_fall_back=may_fall_back,
    )


def subids_id_map(*, may_fall_back: bool = False) -> IdMap | Refusal:
    """Return the caller as 0 and the ranges of subuid(5) and subgid(5) from 1 on."""
    names = _caller_names()
    uid_ranges = _ranges(SUBUID_FILE, names)
    gid_ranges = _ranges(SUBGID_FILE, names)
    refusal = _subids_refusal(names[0], bool(uid_ranges), bool(gid_ranges))
    if refusal is not None:
        return refusal
    return IdMap(
        kind=IdMapKind.SUBIDS,
        uids=_after_caller(os.geteuid(), uid_ranges),
        gids=_after_caller(os.getegid(), gid_ranges),
        reason=f"subids: ranges for {names[0]!r} in {SUBUID_FILE} and {SUBGID_FILE}",
        may_fall_back=may_fall_back,
    )


def single_id_map(why: str) -> IdMap:
    """Return the map of the caller's uid and gid to 0 and nothing else."""
    return IdMap(
        kind=IdMapKind.SINGLE,
        uids=(Extent(container_id=0, host_id=os.geteuid(), count=1),),
        gids=(Extent(container_id=0, host_id=os.getegid(), count=1),),
        reason=f"single: {why}",
    )


def find_program(name: str) -> str | None:
    """Return the path of an executable on PATH, or None."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def _best_id_map() -> IdMap:
    root = root_id_map(may_fall_back=True)
    if isinstance(root, IdMap):
        return root
    subids = subids_id_map(may_fall_back=True)
    if isinstance(subids, IdMap):
        return subids
    return single_id_map(subids.reason)


def _subids_refusal(name: str, has_uids: bool, has_gids: bool) -> Refusal | None:
    if syscalls.has_no_new_privs():  # ranges and programs would be of no use
        return Refusal(
            "no_new_privs is set, so that newuidmap has no rights",
            "start rootrun outside of the sandbox that set it, a Nix build for one",
        )
    for path, has_range in ((SUBUID_FILE, has_uids), (SUBGID_FILE, has_gids)):
        if not has_range:
            return Refusal(
                f"no range for {name!r} in {path}",
                _adding_ranges(name),
            )
    for program in _MAP_PROGRAMS:
        if find_program(program) is None:
            return Refusal(f"no {program} on PATH", "install the package uidmap (Debian, Ubuntu)")
    return None


def _adding_ranges(name: str) -> str:
    # One that nobody has: an id in two ranges would be shared by both their owners.
    taken = [a + n for path in (SUBUID_FILE, SUBGID_FILE) for _, a, n in _all_ranges(path)]
    start = max([_FIRST_SUBID, *taken])
    span = f"{start}-{start + _USUAL_COUNT - 1}"
    return f"as root: usermod --add-subuids {span} --add-subgids {span} {name}"


def _caller_names() -> tuple[str, str]:
    # Both spellings are allowed (subuid(5)). Builders of Nix have a uid without a name.
    import pwd

    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name, str(uid)
    except KeyError:
        return str(uid), str(uid)


def _ranges(path: str, names: tuple[str, ...]) -> list[tuple[int, int]]:
    mine = [(start, count) for name, start, count in _all_ranges(path) if name in names]
    return list(dict.fromkeys(mine))[: _MOST_EXTENTS - 1]


def _all_ranges(path: str) -> list[tuple[str, int, int]]:
    try:
        lines = _content(path).decode(errors="surrogateescape").splitlines()
    except OSError:
        return []
    entries = [line.split(":") for line in lines]
    return [
        (entry[0], int(entry[1]), int(entry[2]))
        for entry in entries
        if len(entry) == 3 and entry[1].isdecimal() and entry[2].isdecimal() and int(entry[2])
    ]


def _after_caller(caller: int, ranges: list[tuple[int, int]]) -> tuple[Extent, ...]:
    extents = [Extent(container_id=0, host_id=caller, count=1)]
    following = 1
    for start, count in ranges:
        extents.append(Extent(container_id=following, host_id=start, count=count))
        following += count
    return tuple(extents)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
