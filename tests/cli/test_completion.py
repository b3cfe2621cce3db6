"""Real shells load the completions, and offer what the parser knows."""

import os
import subprocess
from pathlib import Path

import pytest

from rootrun.cli.commands import MAIN
from rootrun.cli.subcommands import SUBCOMMANDS
from tests.cli.command_line import call
from tests.support.require import require_program

_BASH = """
compopt() { :; }  # bash has it only while it completes
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_rootrun
printf '%s\\n' "${COMPREPLY[@]}"
"""
_ZSH = """
autoload -Uz compinit && compinit -u -D
source $1
[[ ${_comps[rootrun]} == _rootrun ]] && print loaded
_arguments() { print -rl -- "$@" }
compadd() { print -r -- $subcommands }
words=(rootrun ${=2} "") CURRENT=${#words}
_rootrun
"""


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    require_program(name)
    return name


def _script(shell: str, directory: Path) -> Path:
    outcome = call("completion", shell)
    assert (outcome.status, outcome.stderr) == (0, "")
    path = directory / f"rootrun.{shell}"
    path.write_text(outcome.stdout)
    return path


def _run(*argv: str | Path, home: Path) -> list[str]:
    done = subprocess.run(
        [os.fspath(arg) for arg in argv],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": os.fspath(home), "LANG": "C.UTF-8"},
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_shell_finds_no_fault_in_the_script(shell: str, tmp_path: Path) -> None:
    assert _run(shell, "-n", _script(shell, tmp_path), home=tmp_path) == []


def _offers_of_bash(tmp_path: Path, *words: str) -> list[str]:
    require_program("bash")
    script = _script("bash", tmp_path)
    return _run("bash", "-c", _BASH, "bash", script, "rootrun", *words, home=tmp_path)


def _offers_of_fish(tmp_path: Path, line: str) -> list[str]:
    require_program("fish")
    script = _script("fish", tmp_path)
    query = 'source $argv[1]; complete -C "$argv[2]"'
    offers = _run("fish", "--no-config", "-c", query, script, line, home=tmp_path)
    return [offer.partition("\t")[0] for offer in offers]


def test_bash_offers_every_option(tmp_path: Path) -> None:
    flags = {flag for option in MAIN.options for flag in option.flags}
    assert set(_offers_of_bash(tmp_path, "-")) == flags


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        (["ex"], ["export"]),
        (["--network", "h"], ["host"]),
        (["--network", "=", "h"], ["host"]),
        (["--idmap", "="], ["auto", "root", "subids", "single"]),
        (["cache", "pr"], ["prune"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["export", "--comp"], ["--compression"]),
        (["--from", "x", "--", "--net"], [""]),
    ],
    ids=" ".join,
)
def test_bash_offers_what_fits(words: list[str], offers: list[str], tmp_path: Path) -> None:
    assert _offers_of_bash(tmp_path, *words) == offers


def test_fish_offers_every_option(tmp_path: Path) -> None:
    flags = {option.name for option in MAIN.options}
    assert {f for f in _offers_of_fish(tmp_path, "rootrun --") if f.startswith("--")} == flags


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("rootrun ", list(SUBCOMMANDS)),
        ("rootrun --network ", ["none", "host"]),
        ("rootrun --idmap=", [f"--idmap={m}" for m in ("auto", "root", "single", "subids")]),
        ("rootrun cache ", ["list", "verify", "prune"]),
        ("rootrun export --comp", ["--compression"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fish_offers_what_fits(line: str, offers: list[str], tmp_path: Path) -> None:
    assert sorted(_offers_of_fish(tmp_path, line)) == sorted(offers)


def test_zsh_loads_the_script_and_knows_every_option(tmp_path: Path) -> None:
    require_program("zsh")
    lines = _run("zsh", "-f", "-c", _ZSH, "zsh", _script("zsh", tmp_path), "--x", home=tmp_path)
    assert lines[0] == "loaded"
    text = "\n".join(lines)
    for option in MAIN.options:
        assert all(flag in text for flag in option.flags)


@pytest.mark.parametrize("command", SUBCOMMANDS.values(), ids=list(SUBCOMMANDS))
def test_zsh_knows_the_options_of_each_command(command: object, tmp_path: Path) -> None:
    require_program("zsh")
    name = getattr(command, "name", "")
    script = _script("zsh", tmp_path)
    text = "\n".join(_run("zsh", "-f", "-c", _ZSH, "zsh", script, name, home=tmp_path))
    assert all(option.name in text for option in SUBCOMMANDS[name].options)
