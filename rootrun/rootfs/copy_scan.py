"""What a run may have changed in a copy of its base: one look at each path."""

import os
import stat
from collections.abc import Callable

from rootrun.dataclass import dataclass, field
from rootrun.layer.cursor import Cursor
from rootrun.layer.entry import ROOT, EntryPath, join
from rootrun.rootfs.copy_table import CopyTable, Stamp, birth_ns

IsWritten = Callable[[EntryPath, int, str], bool]
"""Says whether a regular file, a name in a directory, has another content than the base's."""


@dataclass(slots=True)
class Touched:
    """What the walk has to look at; ``layer.diff.Upper`` is its interface.

    ``own`` are the paths among it that are still the base's own file or directory: not another of
    the same name. ``names`` are those in such directories, ``gone`` what was there in the copy.
    """

    own: set[EntryPath] = field(default_factory=set)
    names: dict[EntryPath, list[str]] = field(default_factory=dict)
    gone: dict[EntryPath, set[str]] = field(default_factory=dict)

    def listing(self, path: EntryPath, fd: int, /) -> tuple[dict[str, os.stat_result], set[str]]:
        """Return what was touched in a directory and what is gone; all of one that is new."""
        names = self.names.get(path, []) if path in self.own else os.listdir(fd)
        statuses = {name: os.lstat(name, dir_fd=fd) for name in names}
        return statuses, self.gone.get(path, set())

    def is_merged(self, path: EntryPath, _fd: int, /) -> bool:
        """Say whether a directory is still the base's own."""
        return path in self.own


@dataclass(slots=True)
class _Level:
    """A directory on the way down, and the directories in it that are left."""

    path: EntryPath
    touched: list[str]
    left: list[str]


def scan(root_fd: int, table: CopyTable, is_written: IsWritten) -> Touched:
    """Return what was touched in the tree ``root_fd`` since ``table`` was made of it.

    ``is_written`` is asked where the table's stamps do not tell.
    """
    with Cursor(root_fd) as here:
        return _Scan(here, table, is_written).run()


class _Scan:
    """One pass, with a stack of its own: trees are deeper than Python's."""

    def __init__(self, here: Cursor, table: CopyTable, is_written: IsWritten) -> None:
        self._here = here
        self._table = table
        self._is_written = is_written
        self._result = Touched(own={ROOT})

    def run(self) -> Touched:
        levels = [self._look(ROOT)]
        while levels:
            if levels[-1].left:
                name = levels[-1].left.pop()
                self._here.enter(name)
                levels.append(self._look(join(levels[-1].path, name)))
                continue
            done = levels.pop()
            if levels:
                self._here.leave()
                self._tell(done, above=levels[-1])
            elif done.touched:
                self._result.names[ROOT] = done.touched
        return self._result

    def _tell(self, done: _Level, *, above: _Level) -> None:
        """Make the directory one to look at if something in it is."""
        result, name = self._result, done.path.rpartition("/")[2]
        if done.touched:
            result.names[done.path] = done.touched
        if done.path not in result.own and (done.touched or done.path in result.gone):
            result.own.add(done.path)
            above.touched.append(name)

    def _look(self, path: EntryPath) -> _Level:
        """Look at what is in a directory that is the base's own."""
        known = self._table.directories[path]
        here = _Level(path, [], [])
        present = 0
        with os.scandir(self._here.fd) as children:
            for child in children:
                stamp = known.get(child.name)
                if stamp is None:
                    here.touched.append(child.name)
                    continue
                present += 1
                status = child.stat(follow_symlinks=False)
                if status.st_ino == stamp.inode and status.st_ctime_ns == stamp.ctime_ns:
                    self._pass(here, child.name, stamp)
                else:
                    self._touch(here, child.name, stamp, status)
        if present < len(known):
            self._result.gone[path] = known.keys() - set(os.listdir(self._here.fd))
        return here

    def _pass(self, here: _Level, name: str, stamp: Stamp) -> None:
        """See to what has the stamp of its copy."""
        if stat.S_ISDIR(stamp.held.mode):
            here.left.append(name)
        elif not self._table.ctime_tells and stat.S_ISREG(stamp.held.mode) and not stamp.is_stub:
            path = join(here.path, name)
            if self._is_written(path, self._here.fd, name):
                here.touched.append(name)
                self._result.own.add(path)

    def _touch(self, here: _Level, name: str, stamp: Stamp, status: os.stat_result) -> None:
        here.touched.append(name)
        born_ns = birth_ns(self._here.fd, name)
        if self._table.is_own(stamp, status, born_ns):
            self._result.own.add(join(here.path, name))
            if stat.S_ISDIR(status.st_mode):
                here.left.append(name)
