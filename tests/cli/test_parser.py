"""The parser, its rows and its help agree."""

import pytest

from rootrun.cli.commands import MAIN
from rootrun.cli.grammar import Command
from rootrun.cli.image_values import Tag
from rootrun.cli.parser import Options, help_text, parse
from rootrun.cli.subcommands import SUBCOMMANDS
from tests.cli.command_line import call, error_of

_COMMANDS = [MAIN, *SUBCOMMANDS.values()]
_NAMES = [command.name or "main" for command in _COMMANDS]


def _arguments(command: Command) -> list[str]:
    if command.positional is None:
        return []
    return list(command.positional.choices[:1]) or ["image.tar"]


@pytest.mark.parametrize("command", _COMMANDS, ids=_NAMES)
def test_every_parsed_option_has_a_declared_type(command: Command) -> None:
    options = parse(command, _arguments(command))
    assert set(vars(options)) <= set(Options.__annotations__)


def test_every_declared_option_is_of_some_command() -> None:
    parsed = {name for c in _COMMANDS for name in vars(parse(c, _arguments(c)))}
    assert parsed == set(Options.__annotations__)


def test_help_fits_on_a_screen() -> None:
    lines = call("--help").stdout.splitlines()
    assert len(lines) < 72
    assert max(map(len, lines)) <= 90
    assert sum("  rootrun " in line for line in lines if not line.startswith(" " * 7)) == 2
    for status in ("128+N", "124", "125", "126", "127"):
        assert any(status in line for line in lines)


@pytest.mark.parametrize("command", _COMMANDS, ids=_NAMES)
def test_help_lists_each_option(command: Command) -> None:
    text = help_text(command)
    for option in command.options:
        assert f"{option.name} " in text or f"{option.name}\n" in text


@pytest.mark.parametrize("command", list(SUBCOMMANDS.values()), ids=list(SUBCOMMANDS))
def test_each_command_has_a_help_of_its_own(command: Command) -> None:
    outcome = call(command.name, "--help")
    assert outcome.status == 0
    assert outcome.stdout == help_text(command)


def test_all_behind_the_first_dashes_is_the_command() -> None:
    options = parse(MAIN, ["--from", "scratch", "--", "ls", "--help", "--", "-x"])
    assert options.command == ("ls", "--help", "--", "-x")
    assert options.base is None


def test_last_of_an_option_wins_and_lists_grow() -> None:
    options = parse(MAIN, ["--name", "a", "--name", "b", "-e", "A=1", "--env=B=2"])
    assert options.name == "b"
    assert options.env == [("A", "1"), ("B", "2")]


def test_tag_takes_a_name_along() -> None:
    assert parse(MAIN, ["-t", "localhost:5000/A/b:v1"]).tag == Tag("localhost:5000/a/b", "v1")
    assert parse(MAIN, ["-t", "v1"]).tag == Tag(None, "v1")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--frm", "x"], "--frm: no such option"),
        (["--time", "5"], "--time: no such option"),
        (["frobnicate"], "frobnicate: no such option or command"),
        (["--tag"], "-t/--tag: no value follows"),
        (["--no-cache=1"], "--no-cache: takes no value"),
        (["--"], "--: no command follows"),
        (["--", ""], "--: '': an empty name of a command"),
        (["export"], "IMAGE: not given"),
        (["export", "a", "--", "b"], "rootrun export: takes no -- COMMAND"),
        (["cache", "eat"], "ACTION: 'eat': not one of list, verify, prune"),
        (["completion", "csh"], "SHELL: 'csh': not one of bash, zsh, fish"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_refused_in_one_line(argv: list[str], message: str) -> None:
    assert error_of(*argv) == message


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--fro", "x"], "is --from meant? see rootrun --help"),
        (["--zzz"], "see rootrun --help"),
        (["touch", "/x"], "a command to run stands behind --; see rootrun --help"),
        (["export", "--otput=x", "a"], "is --output meant? see rootrun export --help"),
        (["cache"], "see rootrun cache --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_have_a_way_out(argv: list[str], hint: str) -> None:
    assert call(*argv).stderr.splitlines()[1] == f"rootrun: hint: {hint}"
