"""Copying between the machine and the host, in its keeper: root of the user namespace.

So files of all ids and modes can be read. What is in the machine is walked by descriptors, one name
at a time, and what is made outside is made below the destination, whatever stands in the way.
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from rootrun import log
from rootrun.annotation import TYPE_CHECKING
from rootrun.compose.copy_in import copy_in
from rootrun.compose.copy_place import Placing
from rootrun.errors import LayerError, MachineError, RootrunError
from rootrun.layer.content import copy_content
from rootrun.layer.cursor import Cursor
from rootrun.layer.entry import EntryPath, join, name_bytes
from rootrun.request import CopyIn
from rootrun.sandbox.beneath import open_in_root
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import send
from rootrun.testing.task_names import COPY_IN
from rootrun.testing.work import Release, Work

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PERMISSIONS = 0o777  # a program of the machine's must not run as the caller for everybody


def answer(keeper: "Keeper", question: Question) -> None:
    """Copy beside what runs."""
    does = _copy_in if question.task == COPY_IN else _copy_out
    Work(keeper, question, partial(does, keeper)).begin()


@contextmanager
def _root(keeper: "Keeper", question: Question) -> Iterator[int]:
    """Open the root: as init sees it, or with nothing mounted there if it is down."""
    with ExitStack() as cleanup:
        if question.descriptors:
            yield question.descriptors[0]
            return
        fd = os.open(keeper.root.rootfs.root, _OPEN_DIRECTORY)
        cleanup.callback(os.close, fd)
        yield fd


def _copy_in(keeper: "Keeper", question: Question, _: Release) -> None:
    source, destination = question.text("source"), question.text("destination")
    mtime_s = int(time.time())
    with _root(keeper, question) as root_fd, _told(keeper, source):
        place = EntryPath(destination.strip("/"))
        with Placing(root_fd, mtime_s=mtime_s) as placing:
            is_there = destination.endswith("/") or placing.has_directory(place)
        if is_there:
            place = join(place, os.path.basename(source))
        copy = CopyIn(source=Path(source), destination=f"/{place}")
        copy_in([copy], root=Path(f"/proc/self/fd/{root_fd}"), mtime_s=mtime_s)
    send(question.answer, "done")


def _copy_out(keeper: "Keeper", question: Question, _: Release) -> None:
    source, destination = question.text("source"), question.text("destination")
    with _root(keeper, question) as root_fd, _told(keeper, source):
        found = open_in_root(root_fd, os.fsencode(source), follow=True)
        try:
            _copy_found(found, Path(destination), os.path.basename(source.rstrip("/")))
        finally:
            os.close(found)
    send(question.answer, "done")


@contextmanager
def _told(keeper: "Keeper", source: str) -> Iterator[None]:
    what = f"{keeper.plan.name}: copy {source}"
    try:
        yield
    except OSError as error:
        place = error.filename
        where = f"{place}: " if isinstance(place, str) and place != source else ""
        raise MachineError(f"{what}: {where}{os.strerror(error.errno or 0)}") from error
    except LayerError as error:
        raise MachineError(f"{what}: {error}") from error
    except RootrunError as error:
        raise MachineError(f"{what}: {str(error).removeprefix('--copy: ')}") from error


def _copy_found(found: int, destination: Path, name: str) -> None:
    """Copy what is open at ``found`` (O_PATH), as ``cp -r`` does where there is something."""
    is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
    if destination.is_dir():
        destination = destination / name
    destination.parent.mkdir(parents=True, exist_ok=True)
    if not is_directory:
        _copy_file(found, destination)
        return
    is_new = not destination.exists()
    destination.mkdir(exist_ok=True)
    top = os.open(destination, _OPEN_DIRECTORY)
    try:
        with Placing(top, mtime_s=int(time.time())) as placing:
            listed = os.open(f"/proc/self/fd/{found}", _OPEN_DIRECTORY)
            try:
                with Cursor(listed) as here:
                    _copy_tree(here, placing)
            finally:
                os.close(listed)
        if is_new:
            os.fchmod(top, os.fstat(found).st_mode & _PERMISSIONS)
    finally:
        os.close(top)


def _copy_file(found: int, destination: Path) -> None:
    source = os.open(f"/proc/self/fd/{found}", _OPEN_FILE & ~os.O_NOFOLLOW)
    above = os.open(destination.parent, _OPEN_DIRECTORY)
    try:
        with Placing(above, mtime_s=int(time.time())) as placing:
            _place_file(source, EntryPath(destination.name), placing)
    finally:
        os.close(above)
        os.close(source)


def _place_file(source: int, path: EntryPath, placing: Placing) -> None:
    status = os.fstat(source)
    _refuse_directory(path, placing)
    if not stat.S_ISREG(status.st_mode):
        raise MachineError(f"{path!r}: neither a file nor a directory")

    def make(name: str, directory_fd: int) -> None:
        copy_content(source, name, directory_fd=directory_fd)

    placing.node(path, make, mode=status.st_mode & _PERMISSIONS)


def _refuse_directory(path: EntryPath, placing: Placing) -> None:
    """Leave a directory of the host alone that a file would replace, as cp(1) does."""
    if placing.has_directory(path):
        raise MachineError(f"{path!r}: a directory is there already")


def _copy_tree(here: Cursor, placing: Placing) -> None:
    waiting = [_names(here)]
    while waiting:
        if not waiting[-1]:
            waiting.pop()
            if waiting:
                here.leave()
            continue
        name = waiting[-1].pop()
        path = here.path
        if _copy_one(here, name, placing):
            try:
                here.enter(name)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it is gone, or another one
            placing.directory(join(path, name), os.fstat(here.fd).st_mode & _PERMISSIONS)
            waiting.append(_names(here))


def _names(here: Cursor) -> list[str]:
    return sorted(os.listdir(here.fd), key=name_bytes, reverse=True)


def _copy_one(here: Cursor, name: str, placing: Placing) -> bool:
    """Copy ``name``; return True for a directory, which is not copied. The machine runs on."""
    path = join(here.path, name)
    try:
        mode = os.lstat(name, dir_fd=here.fd).st_mode
        if stat.S_ISDIR(mode):
            return True
        if stat.S_ISLNK(mode):
            target = os.readlink(name, dir_fd=here.fd)
            _refuse_directory(path, placing)
            placing.node(path, lambda new, fd: os.symlink(target, new, dir_fd=fd), mode=None)
        elif stat.S_ISFIFO(mode):
            _refuse_directory(path, placing)
            placing.node(path, lambda new, fd: os.mkfifo(new, dir_fd=fd), mode=mode & _PERMISSIONS)
        elif stat.S_ISREG(mode):
            source = os.open(name, _OPEN_FILE, dir_fd=here.fd)
            try:
                _place_file(source, path, placing)
            finally:
                os.close(source)
        else:
            log.warning("copy: %r: is a device or socket, and left out", path)
    except FileNotFoundError:
        log.debug("copy: %r: is gone", path)
    return False
