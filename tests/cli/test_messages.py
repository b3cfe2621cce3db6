"""Log records become lines on standard error, as many as asked for."""

import logging
from collections.abc import Iterator

import pytest

from rootrun.cli.messages import one_line, set_up_messages


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    logger = logging.getLogger("rootrun")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.mark.parametrize(
    ("verbose", "quiet", "shown"),
    [(0, 0, "wi"), (1, 0, "wid"), (5, 0, "wid"), (0, 1, "w"), (0, 2, ""), (1, 1, "wi")],
    ids=["default", "-v", "-vvvvv", "-q", "-qq", "-q -v"],
)
def test_verbosity_is_one_counter(
    verbose: int, quiet: int, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_messages(verbose=verbose, quiet=quiet)
    log = logging.getLogger("rootrun.some.module")
    log.warning("w %s", 1)
    log.info("i %s", 2)
    log.debug("d %s", 3)
    lines = {"w": "rootrun: warning: w 1", "i": "rootrun: i 2", "d": "rootrun: d 3"}
    assert capsys.readouterr().err.splitlines() == [lines[key] for key in shown]


def test_records_of_other_packages_stay_theirs(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_messages(verbose=1, quiet=0)
    logging.getLogger("elsewhere").debug("not shown")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "line"),
    [("plain é", "plain é"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("\udcff", "\\udcff")],
    ids=["printable", "newline", "escape", "not UTF-8"],
)
def test_control_characters_are_escaped(text: str, line: str) -> None:
    assert one_line(text) == line
