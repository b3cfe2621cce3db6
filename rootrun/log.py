"""What rootrun says while it works, one line at a time, to whom listens.

As with ``logging`` a message has a level, and arguments that are only put into it where
it is told. That module and what it loads would be a tenth of a warm run's start.
"""

from collections.abc import Callable
from enum import IntEnum


class Level(IntEnum):
    """How much a message matters."""

    DEBUG = 1  # each mount, each external command
    INFO = 2  # a line for each stage that a user waits for
    WARNING = 3
    NOTHING = 4  # no message has it


Listener = Callable[[Level, str], None]


class _Log:
    """The listener of this process, and the least level that it is told."""

    __slots__ = ("least", "tell")

    def __init__(self) -> None:
        self.least = Level.NOTHING
        self.tell: Listener = lambda _level, _text: None


_LOG = _Log()


def listen(listener: Listener, *, least: Level) -> None:
    """Have ``listener`` told all messages of this process from ``least`` on."""
    _LOG.tell, _LOG.least = listener, least


def is_debugging() -> bool:
    """Say whether messages for debugging are told, where making one takes time."""
    return _LOG.least <= Level.DEBUG


def debug(text: str, *args: object) -> None:
    """Tell ``text % args`` to who wants to know each mount and command."""
    _say(Level.DEBUG, text, args)


def info(text: str, *args: object) -> None:
    """Tell ``text % args``, which a user who waits wants to know."""
    _say(Level.INFO, text, args)


def warning(text: str, *args: object) -> None:
    """Tell ``text % args``, which is not as the user may think."""
    _say(Level.WARNING, text, args)


def _say(level: Level, text: str, args: tuple[object, ...]) -> None:
    if level >= _LOG.least:
        _LOG.tell(level, text % args if args else text)
