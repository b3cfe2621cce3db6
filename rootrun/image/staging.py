"""A directory in the making: under a hidden name until it is whole, or inside what it joins."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rootrun.errors import OutputError
from rootrun.image.output_file import file_mode, sync_directory, temporary_path, writing
from rootrun.layer.removal import remove_tree

BLOBS = Path("blobs/sha256")
_INSIDE = "layout"  # names the directories made inside of a target that exists
_GRACE_S = 60  # a younger one may be of a run that has not locked it yet


class Staging:
    """The new files of a directory. ``joins``: the target exists, and keeps what it has."""

    def __init__(self, path: Path, target: Path, *, joins: bool) -> None:
        self.path = path
        self.target = target
        self.joins = joins

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the target against other runs that add to it."""
        descriptor = os.open(self.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def write(self, name: str, content: bytes) -> None:
        """Write the new file ``name``."""
        with open(self.path / name, "xb") as file:
            file.write(content)

    def sync(self) -> None:
        """Bring all files to the disk, and give those that are ours their mode."""
        mode = file_mode()
        for directory, _, names in os.walk(self.path):
            for name in names:
                _sync_file(Path(directory, name), mode=mode)
            sync_directory(Path(directory))

    def move_in(self, last: tuple[str, ...]) -> None:
        """Move the blobs into the target, then the files ``last`` that make them count."""
        blobs = self.target / BLOBS
        blobs.mkdir(parents=True, exist_ok=True)
        for name in sorted(os.listdir(self.path / BLOBS)):
            os.replace(self.path / BLOBS / name, blobs / name)
        sync_directory(blobs)
        for name in last:
            os.replace(self.path / name, self.target / name)
        sync_directory(self.target)

    def rename(self) -> None:
        """Give the directory the target's name; an OSError if that was taken meanwhile."""
        mode = file_mode()
        os.chmod(self.path, mode | (mode & 0o444) >> 2)
        os.rename(self.path, self.target)
        sync_directory(self.target.parent)


@contextmanager
def open_staging(target: Path, *, marker: str) -> Iterator[Staging]:
    """Create the directory in which files for ``target`` are made; it goes with the context.

    Raises OutputError if ``target`` exists and is neither empty nor has ``marker``.
    """
    final = Path(os.path.realpath(target))
    with writing(target):
        exists = os.path.lexists(final)
        if exists:
            _check_target(final, marker, called=target)
    # Inside what exists: it may be a mount point, and nothing is renamed across those.
    with _made_beside(final / _INSIDE if exists else final, called=target) as (path, _):
        with writing(target):
            (path / BLOBS).mkdir(parents=True)
        yield Staging(path, final, joins=exists)


class NewDirectory:
    """A directory that nobody sees under the name of ``target`` before ``commit``."""

    def __init__(self, path: Path, descriptor: int, *, target: Path) -> None:
        self.descriptor = descriptor
        self._path = path
        self._target = target

    def commit(self) -> None:
        """Bring it to the disk and give it its name; it must be complete."""
        with writing(self._target):
            os.sync()  # Python has no syncfs(2), and files one by one would take minutes
            os.rename(self._path, self._target)
            sync_directory(self._target.parent)


@contextmanager
def open_new_directory(target: Path) -> Iterator[NewDirectory]:
    """Make the directory that becomes ``target``, beside it; without ``commit`` it goes again.

    Its mode is 0700. Raises OutputError if ``target`` exists and is not an empty directory.
    """
    final = Path(os.path.realpath(target))
    with writing(target):
        if os.path.lexists(final) and (not final.is_dir() or os.listdir(final)):
            raise OutputError(f"write image: {target}: exists and is not an empty directory")
    with _made_beside(final, called=target) as (path, descriptor):
        yield NewDirectory(path, descriptor, target=final)


@contextmanager
def _made_beside(place: Path, *, called: Path) -> Iterator[tuple[Path, int]]:
    """Make a directory beside ``place``, whatever then becomes of it, and remove it at the end."""
    with writing(called):
        _sweep(place)
        path = temporary_path(place)
        os.mkdir(path, 0o700)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # gone with us, however we end
        yield path, descriptor
    finally:
        os.close(descriptor)
        _remove(path)


def _sweep(place: Path) -> None:
    """Remove what runs that were killed left beside ``place``; they lock what they work in."""
    for name in os.listdir(place.parent):
        if not name.startswith(f".{place.name}.") or not (place.parent / name).is_dir():
            continue
        try:
            descriptor = os.open(place.parent / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # somebody else's
        try:
            status = os.fstat(descriptor)
            if status.st_uid == os.geteuid() and time.time() - status.st_mtime > _GRACE_S:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(place.parent / name)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def _check_target(target: Path, marker: str, *, called: Path) -> None:
    if not target.is_dir():
        raise OutputError(f"write image: {called}: exists and is not a directory")
    names = [name for name in os.listdir(target) if not name.startswith(f".{_INSIDE}.")]
    if names and marker not in names:
        raise OutputError(f"write image: {called}: not empty, and has no {marker}")


def _sync_file(path: Path, *, mode: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        # The mode of a link is the business of the other name's owner.
        if status.st_nlink == 1 and stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    parent_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(path.name, directory_fd=parent_fd)  # which is nothing after a rename
    finally:
        os.close(parent_fd)
