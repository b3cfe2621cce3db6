"""Messages become lines on standard error, as many as asked for."""

import pytest

from rootrun import log
from rootrun.cli.messages import one_line, set_up_messages

pytestmark = pytest.mark.usefixtures("told")  # so that nobody listens afterwards


@pytest.mark.parametrize(
    ("verbose", "quiet", "shown"),
    [(0, 0, "wi"), (1, 0, "wid"), (5, 0, "wid"), (0, 1, "w"), (0, 2, ""), (1, 1, "wi")],
    ids=["default", "-v", "-vvvvv", "-q", "-qq", "-q -v"],
)
def test_verbosity_is_one_counter(
    verbose: int, quiet: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_messages(verbose=verbose, quiet=quiet)
    log.warning("w %s", 1)
    log.info("i %s", 2)
    log.debug("d %s", 3)
    lines = {"w": "rootrun: warning: w 1", "i": "rootrun: i 2", "d": "rootrun: d 3"}
    assert capsys.readouterr().err.splitlines() == [lines[key] for key in shown]


def test_percent_signs_without_arguments_stay(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_messages(verbose=0, quiet=0)
    log.info("100%")
    assert capsys.readouterr().err == "rootrun: 100%\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [("plain é", "plain é"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("\udcff", "\\udcff")],
    ids=["printable", "newline", "escape", "not UTF-8"],
)
def test_control_characters_are_escaped(text: str, line: str) -> None:
    assert one_line(text) == line
