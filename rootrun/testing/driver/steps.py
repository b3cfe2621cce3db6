"""The steps of a test script, told as they are done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rootrun.dataclass import dataclass

_LONG_S = 1.0  # a step whose end is told too
_SHOWN_CHARACTERS = 400  # of an argument


@dataclass(slots=True, kw_only=True)
class Subtest:
    """A part of a test, as it went."""

    name: str
    started_s: float
    seconds: float = 0.0
    has_passed: bool = False
    error: BaseException | None = None


class Steps:
    """Tells steps to ``tell``, each with the seconds since the start of the test."""

    def __init__(self, tell: Callable[[str], None], *, keeps_going: bool = False) -> None:
        self.subtests: list[Subtest] = []
        self.shows_output = False  # of the commands
        self._tell = tell
        self._keeps_going = keeps_going
        self._started_s = time.monotonic()
        self._depth = 0

    @property
    def seconds(self) -> float:
        """The time since the start."""
        return time.monotonic() - self._started_s

    def say(self, text: str) -> None:
        """Tell ``text``, further to the right in a subtest."""
        margin = "  " * self._depth
        for line in text.splitlines() or [""]:
            self._tell(f"[{self.seconds:8.2f}] {margin}{line}")

    @contextmanager
    def nested(self, text: str) -> Iterator[None]:
        """Tell ``text``, and what the block does below it."""
        self.say(text)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @contextmanager
    def subtest(self, name: str) -> Iterator[None]:
        """Tell the block as a part of the test, and how it went."""
        part = Subtest(name=name, started_s=self.seconds)
        self.subtests.append(part)
        try:
            with self.nested(f"subtest: {name}"):
                yield
            part.has_passed = True
        except Exception as error:
            part.error = error
            if not self._keeps_going:
                raise
        finally:
            part.seconds = self.seconds - part.started_s
            how = "passed" if part.has_passed else "failed"
            self.say(f"subtest: {name}: {how} in {part.seconds:.2f} s")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Tell ``text``, and the time that the block takes if that is long."""
        self.say(text)
        started_s = self.seconds
        yield
        taken_s = self.seconds - started_s
        if taken_s >= _LONG_S:
            self.say(f"  took {taken_s:.2f} s")

    def show_output(self, name: str, *texts: str) -> None:
        """Tell what a command in machine ``name`` has written, if that is to be shown."""
        if self.shows_output:
            lines = [line for text in texts for line in text.splitlines()]
            self.say("\n".join(f"{name} # {line}" for line in lines)) if lines else None


def shown_call(method: str, arguments: tuple[object, ...], options: dict[str, object]) -> str:
    """Return a call as a step shows it: texts as they are, and what they go with in brackets."""
    texts = [one if isinstance(one, str) else repr(one) for one in arguments]
    shown = f"{method}: {'; '.join(map(_shortened, texts))}" if texts else method
    given = ", ".join(f"{name}={_shortened(repr(value))}" for name, value in options.items())
    return f"{shown} ({given})" if given else shown


def _shortened(text: str) -> str:
    left_out = len(text) - _SHOWN_CHARACTERS
    return text if left_out <= 0 else f"{text[:_SHOWN_CHARACTERS]}... ({left_out} more)"
