"""Long stages are told: by a bar on a real terminal, by lines elsewhere."""

import pytest

from rootrun.cli.progress import Bar, Lines, describe, make_progress, size
from rootrun.progress import Silence
from tests.support.program import run_python, show_on_terminal

_STAGE = """
import time
from rootrun.cli import progress
progress._BAR_AFTER_S = progress._REDRAW_S = 0
with progress.make_progress('auto', quiet=False).stage('unpacking layer 1 of 2', 4096) as advance:
    advance(1024)
    advance(1024)
"""


def test_terminal_gets_a_bar_that_is_erased_at_the_end() -> None:
    shown = show_on_terminal(_STAGE, {"TERM": "xterm"})
    assert "unpacking layer 1 of 2 [############            ]  50% of 4.0 KiB" in shown
    assert shown.endswith("\r\x1b[K")


@pytest.mark.parametrize("term", ["dumb", ""], ids=["dumb", "empty TERM"])
def test_dumb_terminal_gets_no_escape_sequences(term: str) -> None:
    shown = show_on_terminal(
        _STAGE + "\nprint('end', file=__import__('sys').stderr)", {"TERM": term}
    )
    assert shown == "end\r\n"


def test_pipe_gets_a_line_for_a_stage_of_over_a_second() -> None:
    source = _STAGE.replace("progress._BAR_AFTER_S =", "progress._LINE_AFTER_S = -1;")
    shown = run_python(source).stderr.decode()
    assert shown.startswith("rootrun: unpacking layer 1 of 2: 2.0 KiB in 0.0 s, ")
    assert shown.count("\n") == 1


def test_pipe_gets_nothing_for_a_short_stage() -> None:
    assert run_python(_STAGE).stderr == b""


@pytest.mark.parametrize(
    ("choice", "quiet", "kind"),
    [
        ("none", False, Silence),
        ("auto", True, Silence),
        ("auto", False, Lines),
        ("plain", True, Lines),
        ("tty", False, Bar),
    ],
)
def test_choice_decides_the_kind(choice: str, quiet: bool, kind: type) -> None:
    assert type(make_progress(choice, quiet=quiet)) is kind


def test_stage_of_unknown_size_shows_bytes_and_rate() -> None:
    assert describe("reading", 3 * 1024**2, None, 2.0) == "reading: 3.0 MiB, 1.5 MiB/s"


def test_sizes_have_units() -> None:
    assert [size(n) for n in (0, 1023, 1024, 1536 * 1024**3)] == [
        *("0 B", "1023 B", "1.0 KiB", "1.5 TiB")
    ]
