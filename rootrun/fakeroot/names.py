"""The names under which there may be something that the disk does not say.

Most calls are about files of which the disk says all, and their last component is enough to tell.
"""

from collections.abc import Iterable

_MOST = 1 << 17
_DELETED = b" (deleted)"  # what readlink(2) in /proc adds


class Names:
    """Last components of paths. It only grows; once it is too large, every name is in it."""

    def __init__(self, names: Iterable[bytes]) -> None:
        self._names = set(names)
        self._linked: set[bytes] = set()  # of files with several names, which may become known
        self._has_all = False

    def __contains__(self, name: bytes) -> bool:
        return self._has_all or name in self._names

    def has_last_of(self, path: bytes) -> bool:
        """Say whether the last component of ``path``, as readlink(2) in /proc tells it, is one."""
        name = path.rpartition(b"/")[2]
        return name in self or (name.endswith(_DELETED) and name[: -len(_DELETED)] in self)

    def add(self, name: bytes) -> None:
        """Have ``name`` be one."""
        self._names.add(name)
        self._has_all = self._has_all or len(self._names) > _MOST

    def add_last_of(self, path: bytes) -> None:
        """Have the last component of ``path`` be one, which is as for ``has_last_of``."""
        name = path.rpartition(b"/")[2]
        self.add(name)
        if name.endswith(_DELETED):
            self.add(name[: -len(_DELETED)])

    def add_linked(self) -> None:
        """Have all names of files with several be ones."""
        self._names |= self._linked
        self._linked.clear()

    def follow(self, old: bytes, new: bytes, *, is_link: bool) -> None:
        """Take note that a file gets the name ``new``, with ``is_link`` beside the one it has."""
        if old in self:
            self.add(new)
        elif is_link or old in self._linked:
            self._linked |= {old, new}
            self._has_all = self._has_all or len(self._linked) > _MOST
