"""The table of ``make bench``, for a terminal or as Markdown, with the date and the machine."""

import datetime as dt
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.cases import Case
from benchmarks.contenders import BY_HAND, PEERS, ROOTRUN, Contender
from benchmarks.verdict import Row

_MIB = 1 << 20
_PEER_NAMES = [peer.name for peer in PEERS]
_MOST_MEMORY_MIB = 100.0
_WARM_TO_PEER = 0.10
_COLD_GZIP_TO_PEER = 0.5
_COLD_TO_HAND = {"plain": 1.15, "gzip": 1.10}


class Cell(NamedTuple):
    """What one contender took for one case: medians, and the most memory; or why there is none."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0  # of the largest process
    why_not: str = ""


class Line(NamedTuple):
    """A row of the table: a case, and the cell of each contender by name."""

    case: Case
    cells: Mapping[str, Cell]

    def ratio_to(self, names: Sequence[str]) -> float | None:
        """Return rootrun's wall time over the least of ``names``; None if either is missing."""
        ours = self.cells.get(ROOTRUN.name)
        others = [
            cell.wall_s for name, cell in self.cells.items() if name in names and not cell.why_not
        ]
        if ours is None or ours.why_not or not others:
            return None
        return ours.wall_s / min(others)

    def progress(self) -> str:
        """Return what is told of a row once it is measured."""
        told = [
            f"{name} {'failed' if cell.why_not else f'{cell.wall_s:.2f} s'}"
            for name, cell in self.cells.items()
        ]
        return f"{self.case.name}: {', '.join(told)}"


def shown(
    lines: Sequence[Line], contenders: Sequence[Contender], *, repeat: int, as_markdown: bool
) -> str:
    """Return the table, what is missing and why, the verdicts, and where it was measured."""
    names = [contender.name for contender in contenders]
    rows = [_heads(names), *(_texts(line, names) for line in lines)]
    table = _markdown(rows) if as_markdown else _plain(rows)
    missing = [f"- {text}" for text in _missing(lines)]
    verdicts = [] if as_markdown else [row.shown() for row in targets(lines)]
    blocks = [table, missing, verdicts, [measured_on(repeat=repeat)]]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def targets(lines: Sequence[Line]) -> Iterator[Row]:
    """Yield what was aimed at, and what came of it."""
    for line in lines:
        case, ours = line.case, line.cells.get(ROOTRUN.name)
        to_peer, to_hand = line.ratio_to(_PEER_NAMES), line.ratio_to([BY_HAND.name])
        base = (case.base, case.workload, case.is_warm)
        if base == ("debian", "true", True):
            yield from _target(case, "fastest peer", to_peer, _WARM_TO_PEER)
            yield from _target(case, "by hand", to_hand, 1.0)
        elif base == ("large", "true", False):
            if case.packing == "gzip":
                yield from _target(case, "fastest peer", to_peer, _COLD_GZIP_TO_PEER)
            yield from _target(case, "by hand", to_hand, _COLD_TO_HAND.get(case.packing))
        if ours is not None and not ours.why_not:
            peak_mib = ours.peak_bytes / _MIB
            yield Row(name=case.name, floor="memory", value=peak_mib, unit="MiB",
                      limit=_MOST_MEMORY_MIB, digits=1)  # fmt: skip


def _target(case: Case, beside: str, value: float | None, limit: float | None) -> Iterator[Row]:
    if value is not None:
        yield Row(name=case.name, floor=beside, value=value, unit="x", limit=limit)


def measured_on(*, repeat: int) -> str:
    """Return the date, the machine and what the numbers are."""
    today = dt.datetime.now(dt.UTC).date()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"Wall seconds, medians of {repeat} interleaved runs, {today}; {_processor()},"
        f" {len(os.sched_getaffinity(0))} cores, {memory_gib:.0f} GiB,"
        f" Linux {platform.release()}, Python {platform.python_version()}."
        " Memory is that of rootrun's largest process."
    )


def _heads(names: Sequence[str]) -> list[str]:
    return ["row", *names, "to fastest peer", "to by hand", "MiB"]


def _texts(line: Line, names: Sequence[str]) -> list[str]:
    ratios = [line.ratio_to(_PEER_NAMES), line.ratio_to([BY_HAND.name])]
    ours = line.cells.get(ROOTRUN.name)
    peak = "" if ours is None or ours.why_not else f"{ours.peak_bytes / _MIB:.0f}"
    return [
        line.case.name,
        *(_wall(line.cells[name]) for name in names),
        *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        peak,
    ]


def _wall(cell: Cell) -> str:
    return "-" if cell.why_not else f"{cell.wall_s:.2f}"


def _missing(lines: Sequence[Line]) -> Iterator[str]:
    """Yield each reason once, with the rows that it holds for."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        for name, cell in line.cells.items():
            if cell.why_not:
                reasons.setdefault((name, cell.why_not), []).append(line.case.name)
    for (name, why_not), cases in reasons.items():
        yield f"{name}: {why_not} ({', '.join(cases)})"


def _plain(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in rows[0][1:])]
    return [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
