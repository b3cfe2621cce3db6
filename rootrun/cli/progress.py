"""How far a long stage is: a bar on a terminal, a line where the output is kept."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rootrun.cli.messages import PREFIX
from rootrun.cli.terminal import is_terminal
from rootrun.progress import Progress, Silence

_REDRAW_S = 0.1
_BAR_AFTER_S = 0.3  # what is done by then needs no bar
_LINE_AFTER_S = 1.0
_BAR_WIDTH = 24
_ERASE_LINE = "\r\x1b[K"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def make_progress(choice: str, *, quiet: bool) -> Progress:
    """Return the listener that ``--progress`` asks for; auto means the terminal if there is one."""
    if choice == "none" or (choice == "auto" and quiet):
        return Silence()
    if choice == "tty" or (choice == "auto" and is_terminal()):
        return Bar()
    return Lines()


class Bar(Progress):
    """A line on the terminal that is drawn over and over, and erased at the end."""

    @contextmanager
    def stage(self, name: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """Draw the bytes done, the share of the total and the rate."""
        start_s = time.monotonic()
        done_bytes = 0
        next_draw_s = start_s + _BAR_AFTER_S
        drawn = False

        def advance(count: int) -> None:
            nonlocal done_bytes, next_draw_s, drawn
            done_bytes += count
            now_s = time.monotonic()
            if now_s >= next_draw_s:
                text = describe(name, done_bytes, total_bytes, now_s - start_s)
                _write(f"{_ERASE_LINE}{PREFIX}{text}")
                next_draw_s = now_s + _REDRAW_S
                drawn = True

        try:
            yield advance
        finally:
            if drawn:
                _write(_ERASE_LINE)


class Lines(Progress):
    """One line for each stage that took a while, when it is over."""

    @contextmanager
    def stage(self, name: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        """Count the bytes and tell them at the end, if it took longer than a second."""
        start_s = time.monotonic()
        done_bytes = 0

        def advance(count: int) -> None:
            nonlocal done_bytes
            done_bytes += count

        yield advance
        seconds = time.monotonic() - start_s
        if seconds > _LINE_AFTER_S:
            rate = f"{size(done_bytes / seconds)}/s"
            _write(f"{PREFIX}{name}: {size(done_bytes)} in {seconds:.1f} s, {rate}\n")


def describe(name: str, done_bytes: int, total_bytes: int | None, seconds: float) -> str:
    """Return the text of the bar after ``seconds``."""
    rate = f"{size(done_bytes / seconds)}/s" if seconds else ""
    if not total_bytes:
        return f"{name}: {size(done_bytes)}, {rate}"
    share = min(done_bytes / total_bytes, 1.0)
    bar = f"{'#' * round(share * _BAR_WIDTH):<{_BAR_WIDTH}}"
    return f"{name} [{bar}] {share:4.0%} of {size(total_bytes)}, {rate}"


def size(count: float) -> str:
    """Return a number of bytes with three digits or so, as ``12.3 MiB``."""
    power = 0
    while count >= 1024 and power < len(_UNITS) - 1:
        count /= 1024
        power += 1
    return f"{count:.1f} {_UNITS[power]}" if power else f"{count:.0f} {_UNITS[0]}"


def _write(text: str) -> None:
    with suppress(OSError):  # a closed standard error must not fail the run
        sys.stderr.write(text)
        sys.stderr.flush()
