"""What the README shows exists, and its commands are ones that the parser takes."""

import re
import shlex
from pathlib import Path

import pytest

from rootrun.cli.commands import MAIN
from rootrun.cli.parser import parse
from rootrun.cli.subcommands import SUBCOMMANDS

_CHECKOUT = Path(__file__).parent.parent
_README = (_CHECKOUT / "README.md").read_text(encoding="utf-8")
_MAKEFILE = (_CHECKOUT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", re.findall(r"^ {4}(?:\$ )?(rootrun .*)$", _README, re.MULTILINE))
def test_each_command_line_is_one_that_the_parser_takes(line: str) -> None:
    words = shlex.split(line)[1:]
    command = SUBCOMMANDS.get(words[0], MAIN)
    assert parse(command, words[1:] if command.name else words)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)\b", _README))))
def test_each_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", _MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", _README))
def test_each_linked_file_exists(path: str) -> None:
    assert (_CHECKOUT / path).is_file()


def test_make_help_lists_each_target() -> None:
    targets = re.findall(r"^([a-z]+):(?! *=)", _MAKEFILE, re.MULTILINE)
    shown = re.findall(r"'make ([a-z]+) ", _MAKEFILE)
    assert sorted(shown) == sorted(set(targets) - {"help"})


def test_version_of_the_changelog_is_that_of_the_package() -> None:
    from rootrun import __version__

    changelog = (_CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest
    assert newest[1] == __version__
