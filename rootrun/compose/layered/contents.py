"""The tree that ``--contents`` makes of paths in a store: links to what is in them."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from rootrun.errors import UsageError, told_as

_DIRECTORY_MODE = 0o755


def link_contents(contents: Iterable[Path], *, tree: Path) -> None:
    """Make the directory ``tree`` of what is in each of ``contents``, paths in a store.

    Directories are merged, all else becomes a symlink to its place in the store; later ones win. A
    path that is no directory becomes a symlink of its own name. Raises UsageError where one has a
    directory and another one something else.
    """
    with told_as(UsageError, "--contents", tree):
        _make_directory(tree)
        for content in contents:
            if content.is_dir():
                _link_directory(os.fspath(content), os.fspath(tree))
            else:
                _link(os.fspath(content), os.fspath(tree / content.name))


def _link_directory(source: str, target: str) -> None:
    waiting = [(source, target)]
    while waiting:
        directory, place = waiting.pop()
        with os.scandir(directory) as scan:
            children = list(scan)
        for child in children:
            below = f"{place}/{child.name}"
            if child.is_dir(follow_symlinks=False):
                _make_directory(below, instead_of=child.path)
                waiting.append((child.path, below))
            else:
                _link(child.path, below)


def _make_directory(place: str | Path, *, instead_of: str = "") -> None:
    try:
        os.mkdir(place)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            other = os.readlink(place)
            raise UsageError(f"--contents: {instead_of}: is a directory, {other} is none") from None
    os.chmod(place, _DIRECTORY_MODE)  # whatever the umask


def _link(source: str, place: str) -> None:
    if os.path.lexists(place):
        if stat.S_ISDIR(os.lstat(place).st_mode):
            raise UsageError(f"--contents: {source}: is no directory, others have one there")
        os.unlink(place)
    os.symlink(source, place)
