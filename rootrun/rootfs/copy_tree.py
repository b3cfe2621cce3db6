"""A copy of what layers above each other show, as overlayfs would merge them."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rootrun.dataclass import dataclass, field
from rootrun.layer.attributes import clear_inheritance, set_xattrs
from rootrun.layer.cursor import Cursor
from rootrun.layer.entry import ROOT, EntryPath, join
from rootrun.layer.metadata import is_whiteout, kept_xattrs
from rootrun.layer.record import LayerRecord
from rootrun.namedtuple import NamedTuple
from rootrun.rootfs.copy_file import ContentCopier
from rootrun.rootfs.copy_table import CopyTable, Stamp

_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Lower(NamedTuple):
    """A layer to merge. ``is_base``: it shows the image's."""

    tree: Path
    record: LayerRecord = LayerRecord()  # of one that was unpacked
    is_base: bool = True


@dataclass(slots=True)
class _Merged:
    """A name of a merged directory: what its topmost holder says, and all that show through.

    ``holders`` are positions in the lowers, top first.
    """

    status: os.stat_result
    holders: list[int]
    is_closed: bool  # what is below does not show


@dataclass(slots=True)
class _Level:
    """A directory on the way down: the directories in it that are left, and what it is itself."""

    path: EntryPath
    merged: _Merged
    names: dict[str, Stamp]
    left: list[tuple[str, _Merged]] = field(default_factory=list)


def copy_merged(lowers: Sequence[Lower], root_fd: int, copier: ContentCopier) -> CopyTable:
    """Copy what ``lowers``, the topmost first, show together into the empty directory ``root_fd``.

    Hard links come as files of their own, since overlayfs without an index breaks them when one is
    written to. Metadata of the root is left to the caller. Raises OSError, its filename the path.
    """
    with ExitStack() as cleanup:
        clear_inheritance(root_fd)
        cursors = [cleanup.enter_context(_cursor(lower.tree)) for lower in lowers]
        here = cleanup.enter_context(Cursor(root_fd))
        return _Copy(lowers, cursors, here, copier).run()


@contextmanager
def _cursor(tree: Path) -> Iterator[Cursor]:
    fd = os.open(tree, _OPEN_DIRECTORY)
    try:
        cursor = Cursor(fd)
    finally:
        os.close(fd)
    with cursor:
        yield cursor


class _Copy:
    """One copy, with a stack of its own: trees are deeper than Python's."""

    def __init__(
        self,
        lowers: Sequence[Lower],
        cursors: Sequence[Cursor],
        here: Cursor,
        copier: ContentCopier,
    ) -> None:
        self._lowers = lowers
        self._cursors = cursors
        self._here = here
        self._copier = copier
        self._table = CopyTable()

    def run(self) -> CopyTable:
        root = _Merged(os.fstat(self._here.fd), list(range(len(self._lowers))), True)
        levels = [self._fill(ROOT, root)]
        while levels:
            if levels[-1].left:
                name, merged = levels[-1].left.pop()
                self._here.enter(name)
                for holder in merged.holders:
                    self._cursors[holder].enter(name)
                levels.append(self._fill(join(levels[-1].path, name), merged))
                continue
            done = levels.pop()
            if levels:
                self._leave(done, above=levels[-1])
        return self._table

    def _leave(self, done: _Level, *, above: _Level) -> None:
        """Finish a directory, now that nothing is made in it any more."""
        top = done.merged.holders[0]
        _adorn(self._here.fd, self._cursors[top].fd, done.merged.status)
        status = os.fstat(self._here.fd)
        name = done.path.rpartition("/")[2]
        self._table.add(above.names, name, status, is_stub=self._is_stub(done.merged))
        self._here.leave()
        for holder in done.merged.holders:
            self._cursors[holder].leave()

    def _fill(self, path: EntryPath, merged: _Merged) -> _Level:
        """Make what is in a directory, those in it empty."""
        names = self._table.directories[path] = {}
        level = _Level(path, merged, names)
        for name, found in self._merge(path, merged.holders).items():
            if self._is_whiteout(path, name, found):
                continue
            try:
                status = self._make(name, found)
            except OSError as error:
                error.filename = join(path, name)
                raise
            if status is None:
                level.left.append((name, found))
            else:
                self._table.add(names, name, status, is_stub=self._is_stub(found))
        return level

    def _merge(self, path: EntryPath, holders: Sequence[int]) -> dict[str, _Merged]:
        found: dict[str, _Merged] = {}
        for holder in holders:
            opaque = self._lowers[holder].record.opaque
            with os.scandir(self._cursors[holder].fd) as scan:
                for child in scan:
                    known = found.get(child.name)
                    if known is not None and known.is_closed:
                        continue
                    is_directory = child.is_dir(follow_symlinks=False)
                    is_closed = not is_directory or (
                        bool(opaque) and join(path, child.name) in opaque
                    )
                    if known is None:
                        status = child.stat(follow_symlinks=False)
                        found[child.name] = _Merged(status, [holder], is_closed)
                        continue
                    known.is_closed = is_closed
                    if is_directory:
                        known.holders.append(holder)
        return found

    def _is_whiteout(self, path: EntryPath, name: str, found: _Merged) -> bool:
        record = self._lowers[found.holders[0]].record
        if not record.unmarked:  # the path need not be made
            return is_whiteout(found.status)
        return record.is_whiteout(join(path, name), found.status)

    def _is_stub(self, merged: _Merged) -> bool:
        return not any(self._lowers[holder].is_base for holder in merged.holders)

    def _make(self, name: str, found: _Merged) -> os.stat_result | None:
        """Make ``name``; return what it is when done, None for a directory, which is not."""
        mode, here_fd = found.status.st_mode, self._here.fd
        source_fd = self._cursors[found.holders[0]].fd
        if stat.S_ISDIR(mode):
            os.mkdir(name, 0o700, dir_fd=here_fd)
            return None
        if stat.S_ISREG(mode):
            return self._copy_file(name, source_fd, found.status)
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=here_fd)
        else:
            os.mkfifo(name, dir_fd=here_fd)
        _give_owner(name, found.status, directory_fd=here_fd)
        if not stat.S_ISLNK(mode):
            os.chmod(name, stat.S_IMODE(mode), dir_fd=here_fd)
        times = (found.status.st_atime_ns, found.status.st_mtime_ns)
        os.utime(name, ns=times, dir_fd=here_fd, follow_symlinks=False)
        return os.lstat(name, dir_fd=here_fd)

    def _copy_file(self, name: str, directory_fd: int, status: os.stat_result) -> os.stat_result:
        source_fd = os.open(name, _OPEN_FILE, dir_fd=directory_fd)
        try:
            target_fd = os.open(name, _CREATE, 0o600, dir_fd=self._here.fd)
            try:
                self._copier.copy(source_fd, target_fd, status)
                _adorn(target_fd, source_fd, status)
                return os.fstat(target_fd)
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)


def _adorn(target_fd: int, source_fd: int, status: os.stat_result) -> None:
    """Give an open file or directory the metadata of another, whose fstat(2) is ``status``."""
    _give_owner(target_fd, status)
    xattrs = kept_xattrs(source_fd)
    if xattrs:
        set_xattrs(target_fd, xattrs)  # after chown(2), which clears capabilities
    os.fchmod(target_fd, stat.S_IMODE(status.st_mode))  # likewise, set-id bits
    os.utime(target_fd, ns=(status.st_atime_ns, status.st_mtime_ns))


def _give_owner(
    target: int | str, status: os.stat_result, *, directory_fd: int | None = None
) -> None:
    if (status.st_uid, status.st_gid) == (0, 0):
        return  # ours: we are root of the namespace
    if isinstance(target, int):
        os.fchown(target, status.st_uid, status.st_gid)
    else:
        os.chown(target, status.st_uid, status.st_gid, dir_fd=directory_fd, follow_symlinks=False)
