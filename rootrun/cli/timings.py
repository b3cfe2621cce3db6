"""Where the time of a run went: what ``--timings`` shows, and ``timings`` in ``--json``."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from rootrun.cli.messages import PREFIX
from rootrun.progress import Progress

_START_TIME = 22  # the field of /proc/PID/stat (proc_pid_stat(5))


class Timings(Progress):
    """A listener that adds up the time of the stages, and passes all on to ``listener``.

    The first stage began with this process. Seconds everywhere.
    """

    def __init__(self, listener: Progress) -> None:
        self._listener = listener
        self._now_s = time.monotonic()
        self._age_s = process_age_s()
        self._stages: dict[str, float] = {}
        self._parts: dict[str, list[tuple[str, float]]] = {}
        self._beside: dict[str, float] = {}

    def stage(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Open the stage of the other listener."""
        return self._listener.stage(name, total_bytes)

    def ended(self, stage: str, *, part: str = "") -> None:
        """Add the time since the last call to ``stage``; to the first, that of the process too."""
        before_s, self._now_s = self._now_s, time.monotonic()
        taken_s = self._now_s - before_s + self._age_s
        self._age_s = 0.0
        self._stages[stage] = self._stages.get(stage, 0.0) + taken_s
        if part:
            self._parts.setdefault(stage, []).append((part, taken_s))

    def ran_beside(self, stage: str, wall_s: float) -> None:
        """Add the time of ``stage``, which is no part of the total."""
        self._beside[stage] = self._beside.get(stage, 0.0) + wall_s

    @property
    def total_s(self) -> float:
        """The time from the start of the process to the end of the last stage."""
        return sum(self._stages.values())

    def to_json(self) -> Mapping[str, object]:
        """Return the object ``timings`` of ``--json``; ``stages`` add up to ``total``."""
        return {
            "stages": _rounded(self._stages),
            "parts": {
                _key(stage): [{"name": name, "seconds": _round(wall_s)} for name, wall_s in parts]
                for stage, parts in self._parts.items()
            },
            "beside": _rounded(self._beside),
            "total": _round(self.total_s),
        }

    def tell(self) -> None:
        """Show the table on standard error."""
        with suppress(OSError):  # a closed standard error must not fail the run
            sys.stderr.write("".join(f"{PREFIX}{line}\n" for line in self._lines()))
            sys.stderr.flush()

    def _lines(self) -> Iterator[str]:
        yield f"{'stage':32} {'wall s':>8} {'share':>6}"
        for stage, wall_s in self._stages.items():
            yield self._line(stage, wall_s)
            for part, part_s in self._parts.get(stage, ()):
                yield self._line(f"  {part}", part_s)
        yield self._line("total", self.total_s)
        for stage, wall_s in self._beside.items():
            yield f"{stage:32} {wall_s:8.3f} beside"

    def _line(self, name: str, wall_s: float) -> str:
        return f"{name:32} {wall_s:8.3f} {wall_s / (self.total_s or 1):6.1%}"


def process_age_s() -> float:
    """Return for how long this process has existed, as exact as the kernel's clock ticks."""
    # The name of the program, which may have spaces and brackets, is the field before the third.
    _, _, rest = (
        Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")
    )
    started_ticks = int(rest.split()[_START_TIME - 3])
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return max(0.0, now_s - started_ticks / os.sysconf("SC_CLK_TCK"))


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {_key(stage): _round(wall_s) for stage, wall_s in seconds.items()}


def _round(wall_s: float) -> float:
    return round(wall_s, 4)


def _key(stage: str) -> str:
    """Return the name of a stage as a key of JSON: ``openImage``."""
    first, *rest = stage.split()
    return first + "".join(word.capitalize() for word in rest)
