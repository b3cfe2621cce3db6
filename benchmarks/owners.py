"""What a tree says of owners, modes and devices, and how much of it is not as it should be."""

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

_WHITEOUT = ".wh."
_KINDS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.LNKTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
}
# Private to each run, or what it takes to run there.
_APART = ("dev", "proc", "sys", "repo", "run", "tmp")


class Entry(NamedTuple):
    """What is compared of a file; ``device`` is (0, 0) for all that is none."""

    kind: int  # one of S_IFMT's
    mode: int
    owner: tuple[int, int]
    device: tuple[int, int] = (0, 0)

    @property
    def is_device(self) -> bool:
        """Whether it is a character or block device."""
        return self.kind in (stat.S_IFCHR, stat.S_IFBLK)


Entries = dict[str, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """How many files are not as they should be; a file can have a wrong owner and mode."""

    owners: int = 0
    modes: int = 0
    devices: int = 0  # no device, or another one
    absent: int = 0  # not there, or of another kind

    def __bool__(self) -> bool:
        return bool(self.owners or self.modes or self.devices or self.absent)


def compare(expected: Mapping[str, Entry], found: Mapping[str, Entry]) -> Wrong:
    """Count what is wrong in ``found``; what it has besides is passed over."""
    owners = modes = devices = absent = 0
    for name, entry in expected.items():
        other = found.get(name)
        if entry.is_device:
            same = other and (other.kind, other.device) == (entry.kind, entry.device)
            devices += not same
            if not same:
                continue
        if other is None or other.kind != entry.kind:
            absent += 1
            continue
        owners += other.owner != entry.owner
        modes += other.mode != entry.mode
    return Wrong(owners=owners, modes=modes, devices=devices, absent=absent)


def entries_of_tar(archive: BinaryIO) -> Entries:
    """Return the entries of a tar stream by name, whiteouts too."""
    entries: Entries = {}
    with tarfile.open(fileobj=archive, mode="r|") as tar:
        for member in tar:
            name = member.name.removeprefix("./").strip("/")
            if not _is_apart(name):
                entries[name] = _entry(member)
    return entries


def with_layer(base: Mapping[str, Entry], layer: Mapping[str, Entry]) -> Entries:
    """Return ``base`` with the entries of ``layer`` over it; neither has opaque markers."""
    tree = dict(base)
    for name, entry in layer.items():
        directory, _, last = name.rpartition("/")
        if last.startswith(_WHITEOUT):
            hidden = f"{directory}/{last.removeprefix(_WHITEOUT)}".lstrip("/")
            _remove(tree, hidden)
        elif entry.kind != stat.S_IFDIR and name in tree and tree[name].kind == stat.S_IFDIR:
            _remove(tree, name)
    tree |= {
        name: entry
        for name, entry in layer.items()
        if not name.rpartition("/")[2].startswith(_WHITEOUT)
    }
    return tree


def entries_of_tree(root: Path, *, uid: int, gid: int) -> Entries:
    """Return what the disk has below ``root``, where ``uid`` and ``gid`` stand for root's."""
    return {
        os.fsdecode(os.path.relpath(path, root)): _entry_on_disk(path, uid=uid, gid=gid)
        for path in _paths(os.fspath(root), apart=_APART)
    }


def _entry(member: tarfile.TarInfo) -> Entry:
    kind = _KINDS.get(member.type, stat.S_IFREG)
    is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
    return Entry(
        kind=kind,
        mode=0o777 if kind == stat.S_IFLNK else member.mode,
        owner=(member.uid, member.gid),
        device=(member.devmajor, member.devminor) if is_device else (0, 0),
    )


def _entry_on_disk(path: str, *, uid: int, gid: int) -> Entry:
    status = os.lstat(path)
    mode = status.st_mode
    is_device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    return Entry(
        kind=stat.S_IFMT(mode),
        mode=stat.S_IMODE(mode),
        owner=(
            0 if status.st_uid == uid else status.st_uid,
            0 if status.st_gid == gid else status.st_gid,
        ),
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
    )


def _paths(directory: str, *, apart: Iterable[str] = ()) -> Iterator[str]:
    with os.scandir(directory) as found:
        for entry in found:
            if entry.name not in apart:
                yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    yield from _paths(entry.path)


def _is_apart(name: str) -> bool:
    return name in ("", ".") or name.partition("/")[0] in _APART


def _remove(tree: Entries, root: str) -> None:
    for name in [name for name in tree if name == root or name.startswith(f"{root}/")]:
        del tree[name]
