"""The table of the comparison: ratios, what is missing, targets; and what counts as growth."""

from benchmarks.cases import Case
from benchmarks.contenders import CONTENDERS
from benchmarks.endurance import State, compared
from benchmarks.table import Cell, Line, shown, targets
from benchmarks.timing import Run

_WARM = Case("debian", "plain", "true", is_warm=True)
_NAMES = [contender.name for contender in CONTENDERS]


def _line(case: Case = _WARM, **cells: Cell) -> Line:
    nothing = {name: Cell(why_not="it fails") for name in _NAMES}
    given = {name.replace("_", " "): cell for name, cell in cells.items()}
    return Line(case, nothing | given)


def test_ratios_are_to_the_fastest_that_has_a_time() -> None:
    line = _line(rootrun=Cell(1.0), buildah=Cell(8.0), podman=Cell(4.0), by_hand=Cell(2.0))
    assert line.ratio_to(["buildah", "podman", "umoci"]) == 0.25
    assert line.ratio_to(["by hand"]) == 0.5
    assert line.ratio_to(["umoci"]) is None
    assert _line(buildah=Cell(8.0)).ratio_to(["buildah"]) is None


def test_markdown_has_a_row_a_case_and_reasons_once() -> None:
    lines = [_line(rootrun=Cell(1.5, peak_bytes=50 << 20)), _line(_WARM._replace(packing="gzip"))]
    table = shown(lines, CONTENDERS, repeat=3, as_markdown=True).splitlines()
    rows = [line for line in table if line.startswith("|")]
    assert len(rows) == 4
    assert {row.count("|") for row in rows} == {len(CONTENDERS) + 5}
    assert rows[2].startswith("| debian-plain-true-warm | 1.50 | - |")
    assert rows[2].endswith("| 50 |")
    assert "- proot: it fails (debian-plain-true-warm, debian-gzip-true-warm)" in table
    assert "- rootrun: it fails (debian-gzip-true-warm)" in table
    assert "medians of 3" in table[-1]


def test_targets_are_met_or_missed() -> None:
    line = _line(
        rootrun=Cell(1.0, peak_bytes=101 << 20), buildah=Cell(11.0), by_hand=Cell(0.5)
    )  # fmt: skip
    verdicts = {row.floor: row.is_met for row in targets([line])}
    assert verdicts == {"fastest peer": True, "by hand": False, "memory": False}
    cold = Case("large", "gzip", "true", is_warm=False)
    slow = _line(cold, rootrun=Cell(1.0), buildah=Cell(1.9), by_hand=Cell(1.0))
    verdicts = {row.floor: row.is_met for row in targets([slow])}
    assert verdicts == {"fastest peer": False, "by hand": True, "memory": True}


def test_growth_is_told_number_by_number() -> None:
    first = State(1, 100, 0, 0, 20, 500)
    memory = [100 << 20] * 10 + [103 << 20] * 10
    runs = [
        Run(status=0, stdout="", stderr="", wall_s=1.0, cpu_s=1.0, peak_bytes=peak)
        for peak in memory
    ]
    last = first._replace(cache_bytes=101, scratch_files=1, open_files=900)
    missed = {row.name for row in compared(runs, first=first, last=last) if not row.is_met}
    assert missed == {"peak memory, later half to first", "more cache bytes", "more scratch files"}
    assert all(row.is_met for row in compared(runs[:10] * 2, first=first, last=first))
