"""What was done to the machines of this process, for who looks at a failure."""

import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from rootrun.annotation import TYPE_CHECKING

if TYPE_CHECKING:
    from rootrun.testing.link import MachineLink

_KEPT_EVENTS = 200  # of a machine
_KEPT_MACHINES = 100  # of those that are gone too
_KEPT_LINES = 10  # of an event's output
_KEPT_CHARACTERS = 1000


class Event:
    """Something that was done, or tried ``count`` times in a row."""

    __slots__ = ("count", "ended_s", "outcome", "output", "started_s", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.started_s = self.ended_s = time.monotonic()
        self.count = 1
        self.outcome = ""
        self.output = ""  # the end of it

    def keep_output(self, *texts: str) -> None:
        """Keep the last lines of ``texts``."""
        tails = [text[-_KEPT_CHARACTERS:].rstrip("\n") for text in texts]
        shown = "\n".join(tail for tail in tails if tail)
        self.output = "\n".join(shown[-_KEPT_CHARACTERS:].splitlines()[-_KEPT_LINES:])

    def take_over(self, other: "Event") -> None:
        """Be what ``other`` was too, which was the same before."""
        self.started_s, self.count = other.started_s, self.count + other.count


class Journal:
    """The last events of one machine, and what is there to see after its end."""

    def __init__(self, link: "MachineLink") -> None:
        self.name = link.name
        self.link = weakref.ref(link)
        self.messages = ""  # of a machine that was closed
        self.left_out = 0  # earlier events that are not kept
        self._events: deque[Event] = deque(maxlen=_KEPT_EVENTS)

    @contextmanager
    def noting(self, what: str) -> Iterator[Event]:
        """Note what the block does when it is over, and what it raises as its outcome."""
        event = Event(what)
        try:
            yield event
        except BaseException as error:
            event.outcome = _first_line(error)
            raise
        finally:
            event.ended_s = time.monotonic()
            self._add(event)

    def since(self, start_s: float) -> list[Event]:
        """Return what has ended after ``start_s`` (monotonic), in its order."""
        return [event for event in list(self._events) if event.ended_s >= start_s]

    def _add(self, event: Event) -> None:
        events = self._events
        last = events[-1] if events else None
        if last and (last.what, last.outcome) == (event.what, event.outcome):
            event.take_over(last)
            events[-1] = event
            return
        self.left_out += len(events) == events.maxlen
        events.append(event)


_JOURNALS: deque[Journal] = deque(maxlen=_KEPT_MACHINES)


def open_journal(link: "MachineLink") -> Journal:
    """Return a new journal, which ``journals`` tells of as long as others do not take its place."""
    journal = Journal(link)
    _JOURNALS.append(journal)
    return journal


def journals(*, since_s: float) -> list[Journal]:
    """Return those in which something stands since ``since_s`` (monotonic), the oldest first."""
    return [journal for journal in list(_JOURNALS) if journal.since(since_s)]


def _first_line(error: BaseException) -> str:
    name = type(error).__name__
    lines = str(error).splitlines()
    return f"{name}: {lines[0]}" if lines else name
