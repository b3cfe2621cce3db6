"""The manual page says what the parser knows, and can be read with and without man(1)."""

import re
import subprocess

import pytest

from rootrun.cli.commands import MAIN
from rootrun.cli.manual import MANUAL
from rootrun.cli.roff import plain_text
from rootrun.cli.subcommands import SUBCOMMANDS
from tests.cli.command_line import call
from tests.support.require import require_program

_PAGE = MANUAL.read_text(encoding="utf-8")
_SECTIONS = (
    *("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "IMAGE FORMATS", "THE LAYER"),
    *(
        "LAYERS OF SEVERAL SCRIPTS",
        "EXTRA SCRIPTS",
        "COMPATIBILITY",
        "THE STEP CACHE",
        "THE NIX DATABASE",
        "LAYERED IMAGES",
        "SHELL IMAGES",
        "SHELLS",
        "TESTING",
        "ENVIRONMENT",
        "EXIT STATUS",
        "FILES",
    ),
    *(
        "EXAMPLES",
        "USER NAMESPACES",
        "THE ROOT",
        "ROOT EMULATION",
        "SYSTEM CALLS",
        "NIX BUILDS",
        "LIMITS",
        "TIMINGS",
        "REPRODUCIBILITY",
        "BUGS",
        "SEE ALSO",
    ),
)


def _documented() -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the flags and the metavar of each option that the page has an entry for."""
    entries = {}
    for tag in re.findall(r"^\.TP\n(\\fB\\-.*)$", _PAGE, re.MULTILINE):
        text = re.sub(r"\\f[BIR]", "", tag).replace(r"\-", "-")
        flags, _, metavar = re.sub(r", (?=-)", ",", text).partition(" ")
        names = tuple(flags.split(","))
        entries[names[-1]] = (names, metavar)
    return entries


def test_page_and_parser_have_the_same_options() -> None:
    commands = [MAIN, *SUBCOMMANDS.values()]
    options = {option.name: option for command in commands for option in command.options}
    parsed = {name: (option.flags, option.metavar) for name, option in options.items()}
    assert _documented() == parsed


def test_page_names_every_command() -> None:
    for name in SUBCOMMANDS:
        escaped = name.replace("-", r"\-")
        assert f"\\fBrootrun {escaped}\\fR" in _PAGE


def test_page_has_the_usual_sections_in_the_usual_order() -> None:
    assert tuple(re.findall(r"^\.SH (.*)$", _PAGE, re.MULTILINE)) == _SECTIONS


def test_formatter_has_nothing_to_warn_about() -> None:
    require_program("man")
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-Tutf8", "-Z", "-l", MANUAL],
        capture_output=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LANG": "C.UTF-8"},
    )
    assert done.stderr == b""


def test_plain_text_says_what_man_says() -> None:
    require_program("man")
    formatted = subprocess.run(
        ["man", "--nj", "--nh", "-l", MANUAL],
        capture_output=True,
        check=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LANG": "C.UTF-8"},
    )
    body = formatted.stdout.partition("NAME\n")[2].rpartition("\n")[0].rpartition("SEE ALSO")[0]
    ours = plain_text(_PAGE).partition("NAME\n")[2].rpartition("SEE ALSO")[0]
    assert ours.split() == body.split()


def test_help_command_prints_the_page_where_there_is_no_terminal() -> None:
    outcome = call("help")
    assert outcome.status == 0
    assert outcome.stdout == plain_text(_PAGE)
    assert "\\" not in outcome.stdout.replace(" \\\n", "\n")


@pytest.mark.parametrize("name", ["SOURCE_DATE_EPOCH", "ROOTRUN_CACHE", "TMPDIR", "NO_COLOR"])
def test_page_tells_of_each_variable(name: str) -> None:
    assert f"\\fB{name}\\fR" in _PAGE
