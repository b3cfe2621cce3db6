"""Becoming root of a new user namespace, with a mount namespace of its own."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rootrun.dataclass import replace
from rootrun.errors import HelperError, NamespaceError, RootrunError, SandboxError, told_as
from rootrun.sandbox import syscalls
from rootrun.sandbox.forking import fork_child, signals_blocked
from rootrun.sandbox.helper import run_helpers
from rootrun.sandbox.idmap import Extent, IdMap, IdMapKind, map_lines
from rootrun.sandbox.idmap_choice import single_id_map
from rootrun.sandbox.refusal import namespace_error
from rootrun.sandbox.wire import MessageReader, error_from, send, send_error

# Since Linux 5.12 (user_namespaces(7)); what a container of uid 0 with all capabilities dropped is.
_ROOT_WITHOUT_SETFCAP = "root without CAP_SETFCAP cannot be mapped: run rootrun as another user"


def enter_namespaces(id_map: IdMap) -> IdMap:
    """Make this process uid 0 of new user and mount namespaces; return the map in force.

    That is ``id_map``, or the single-id one with the reason, if ``id_map`` may fall back and could
    not be written. The process must have one thread only. It keeps its supplementary groups, so
    that what the caller's groups may read stays readable, and becomes non-dumpable. No mount made
    from now on is seen outside. Raises ``NamespaceError`` with what to change.
    """
    fallback = single_id_map("")  # before unshare(2): afterwards we are nobody, until mapped
    with _outside_writer(id_map) as writer:
        try:
            syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        except OSError as error:
            raise namespace_error(error) from error
        actual = id_map if writer is None else _write_outside(id_map, writer, fallback=fallback)
    if actual.kind is IdMapKind.SINGLE:
        _write_single_map(actual)
    with told_as(SandboxError, "enter namespaces", "/"):
        syscalls.forbid_inspection()
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    return actual


class _Writer:
    """The process outside that writes our maps: more than one id needs rights over the parent."""

    __slots__ = ("_go", "_reader")

    def __init__(self, go: int, report: int) -> None:
        self._go = go
        self._reader = MessageReader(report)

    def write(self) -> None:
        """Have the maps written; raises what the process reports."""
        with suppress(BrokenPipeError):  # it is gone, as there are no messages of it
            os.write(self._go, b"g")
        messages = self._reader.read()
        if not messages:
            raise HelperError("write id maps: the helper process: was killed")
        if messages[0].kind == "error":
            raise error_from(messages[0])


@contextmanager
def _outside_writer(id_map: IdMap) -> Iterator[_Writer | None]:
    if id_map.kind is IdMapKind.SINGLE:
        yield None
        return
    go_reader, go_writer = os.pipe()
    report_reader, report_writer = os.pipe()
    main = os.getpid()

    def write_when_told() -> None:
        os.close(go_writer)
        if os.read(go_reader, 1):
            _write_maps(id_map, main, report_writer)

    with signals_blocked():
        pid = fork_child(write_when_told)
    os.close(go_reader)
    os.close(report_writer)
    try:
        yield _Writer(go_writer, report_reader)
    finally:
        os.close(go_writer)
        os.close(report_reader)
        os.waitpid(pid, 0)


def _write_maps(id_map: IdMap, pid: int, report: int) -> None:
    try:
        if id_map.kind is IdMapKind.ROOT:
            write_maps_of(pid, id_map.uids, id_map.gids)
        else:
            run_helpers(
                ["newgidmap", str(pid), *_numbers(id_map.gids)],
                ["newuidmap", str(pid), *_numbers(id_map.uids)],
            )
    except BaseException as error:
        send_error(report, error, stage="write id maps")
    else:
        send(report, "written")


def write_maps_of(pid: int, uids: tuple[Extent, ...], gids: tuple[Extent, ...]) -> None:
    """Write the maps of the namespace that ``pid`` made, as one with rights over its parent."""
    _write(f"/proc/{pid}/gid_map", map_lines(gids))
    _write(f"/proc/{pid}/uid_map", map_lines(uids))


def _write_outside(id_map: IdMap, writer: _Writer, *, fallback: IdMap) -> IdMap:
    try:
        writer.write()
    except RootrunError as error:
        if id_map.may_fall_back and not _is_partly_mapped():
            return replace(fallback, reason=f"single: {id_map.kind.value} refused: {error}")
        hint = error.hint or "--idmap single needs no rights at all"
        raise NamespaceError(str(error), hint=hint) from error
    return id_map


def _is_partly_mapped() -> bool:
    # A map is written once; where one of the two is, a single id is not to be had any more.
    for path in ("/proc/self/uid_map", "/proc/self/gid_map"):
        with open(path, "rb") as file:
            if file.read():
                return True
    return False


def _write_single_map(id_map: IdMap) -> None:
    try:
        # Deny setgroups first: since Linux 3.19 gid_map is EPERM without it (user_namespaces(7)).
        _write("/proc/self/setgroups", b"deny")
        _write("/proc/self/uid_map", map_lines(id_map.uids))
        _write("/proc/self/gid_map", map_lines(id_map.gids))
    except OSError as error:
        told = namespace_error(error, step="write id map")
        if error.errno == errno.EPERM and id_map.uids[0].host_id == 0:
            told.hint = _ROOT_WITHOUT_SETFCAP
        raise told from error


def _numbers(extents: tuple[Extent, ...]) -> list[str]:
    return [str(n) for e in extents for n in (e.container_id, e.host_id, e.count)]


def _write(path: str, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, content)
    finally:
        os.close(fd)
