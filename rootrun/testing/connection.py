"""The hub of this process, as those see it that want machines and networks."""

import os
import sys
import time
from _thread import allocate_lock
from collections.abc import Mapping, Sequence

from rootrun.errors import MachineError, UsageError
from rootrun.places import cache_directory, scratch_parent
from rootrun.sandbox.companion import Companion, environment_for_ours
from rootrun.sandbox.packets import open_packets, socket_of
from rootrun.testing.asking import ask, is_readable
from rootrun.testing.plan import Places, values_of

ID_MAPS = ("auto", "root", "subids", "single")
_READY_WITHIN_S = 60.0
_ENDS_WITHIN_S = 60.0


class Child:
    """A process of the hub's, and the socket by which it is asked."""

    def __init__(self, questions: int, told: int, pid: int) -> None:
        self.questions = socket_of(questions)
        self.pid = pid
        self._owner = os.getpid()
        self._told = told
        self._text = ""

    @property
    def is_ours(self) -> bool:
        """Whether this process started it, and not the one that we were forked by."""
        return self._owner == os.getpid()

    def messages(self) -> str:
        """Return what it has logged so far, lines of a level and a message."""
        while True:
            try:
                chunk = os.read(self._told, 65536)
            except BlockingIOError:
                return self._text
            if not chunk:
                return self._text
            self._text += chunk.decode(errors="replace")

    def close(self) -> None:
        """Let go of it: it then ends by itself."""
        self.questions.close()
        self.messages()
        os.close(self._told)


class Connection:
    """A hub, that ends when this is closed, or this process ends."""

    def __init__(self, places: Places) -> None:
        self.places = places
        ours, theirs = open_packets()
        self._questions = socket_of(ours)
        try:
            self._hub = Companion(
                [sys.executable, "-P", "-m", "rootrun.testing.hub", str(theirs), str(os.getpid())],
                environment=environment_for_ours(),
                kept=[theirs],
            )
        finally:
            os.close(theirs)
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + _READY_WITHIN_S
        try:
            with ask(self._questions, "open", values_of(self.places)) as answers:
                ready = answers.only(deadline_s, what="start machines")
                self.id_map = str(ready.message.values[0])
        except BaseException:
            self.close()
            raise

    def start_child(
        self,
        task: str,
        values: Mapping[str, object],
        *,
        deadline_s: float,
        what: str,
        descriptors: Sequence[int] = (),
    ) -> Child:
        """Have the hub start a process; raises what it refuses, with ``what`` in its timeout."""
        ours, theirs = open_packets()
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        try:
            sent = [theirs, writer, *descriptors]
            with ask(self._questions, task, values, descriptors=sent) as answers:
                started = answers.only(deadline_s, what=what)
        except BaseException:
            os.close(ours)
            os.close(reader)
            raise
        finally:
            os.close(theirs)
            os.close(writer)
        return Child(ours, reader, int(started.message.values[0] or 0))

    def is_alive(self) -> bool:
        """Say whether the hub is there: nothing but its end comes by this way."""
        return not is_readable(self._questions.fileno(), 0)

    def close(self) -> None:
        """End the hub, and wait until all below it is gone; raises MachineError if it hangs."""
        self._questions.close()
        if not self._hub.wait(_ENDS_WITHIN_S):
            raise MachineError("end machines: the process that holds them: did not end")

    def leave(self) -> None:
        """Let the hub go on as long as this process does."""
        self._hub.forget()


class _Connections:
    """The hubs of this process. After a fork there are none: answers would go astray."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forget all of them, and who was about to make one."""
        self.lock = allocate_lock()
        self.by_places: dict[Places, Connection] = {}


_CONNECTIONS = _Connections()
os.register_at_fork(after_in_child=_CONNECTIONS.renew)


def connection_to_hub(places: Places) -> Connection:
    """Return the hub of this process for ``places``; the first call starts it.

    It stays as long as this process does: machines then start in a few milliseconds. One that was
    killed is replaced.
    """
    hubs = _CONNECTIONS
    with hubs.lock:
        connection = hubs.by_places.get(places)
        if connection is None or not connection.is_alive():
            connection = Connection(places)
            connection.leave()
            hubs.by_places[places] = connection
        return connection


def close_connections() -> None:
    """End the hubs of this process, with all machines and networks, and wait until that is done."""
    while _CONNECTIONS.by_places:
        _CONNECTIONS.by_places.popitem()[1].close()


def places_of(
    *,
    cache: str | os.PathLike[str] | None = None,
    no_cache: bool = False,
    tmpdir: str | os.PathLike[str] | None = None,
    id_map: str = "auto",
) -> Places:
    """Return the places that are named, else those of the environment, as rootrun(1) has them."""
    if id_map not in ID_MAPS:
        raise UsageError(f"id map: {id_map!r}: not one of {', '.join(ID_MAPS)}")
    from pathlib import Path

    directory = None if no_cache else cache_directory(Path(cache) if cache else None)
    scratch = scratch_parent(Path(tmpdir) if tmpdir else None)
    return Places(
        os.fspath(directory) if directory else None,
        os.fspath(scratch) if scratch else None,
        id_map,
    )
