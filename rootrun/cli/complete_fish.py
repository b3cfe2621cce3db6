"""The completion script for fish(1), complete(1)."""

from rootrun.cli.commands import MAIN
from rootrun.cli.grammar import Command, Option, Takes
from rootrun.cli.subcommands import SUBCOMMANDS

_HEAD = """\
# fish completion for rootrun, printed by: rootrun completion fish
complete -c rootrun -f
"""


def script() -> str:
    """Return the script."""
    names = " ".join(SUBCOMMANDS)
    lines = [
        f"complete -c rootrun -n 'test (count (commandline -opc)) -eq 1' -a '{names}'",
        *_options(MAIN, f"not __fish_seen_subcommand_from {names}"),
    ]
    for command in SUBCOMMANDS.values():
        condition = f"__fish_seen_subcommand_from {command.name}"
        lines += _positional(command, condition)
        lines += _options(command, condition)
    return _HEAD + "".join(f"{line}\n" for line in lines)


def _positional(command: Command, condition: str) -> list[str]:
    row = command.positional
    if row is None:
        return []
    offer = "-F" if row.takes is Takes.FILE else f"-a {_quoted(' '.join(row.choices))}"
    return [f"complete -c rootrun -n {_quoted(condition)} {offer}"]


def _options(command: Command, condition: str) -> list[str]:
    start = f"complete -c rootrun -n {_quoted(condition)}"
    return [f"{start} {_spec(option)}" for option in command.options]


def _spec(option: Option) -> str:
    flags = [f"-s {flag[1:]}" for flag in option.flags if not flag.startswith("--")]
    flags.append(f"-l {option.name.removeprefix('--')}")
    value = {
        Takes.NOTHING: "",
        Takes.TEXT: "-x",
        Takes.CHOICE: f"-x -a {_quoted(' '.join(option.choices))}",
        Takes.FILE: "-r -F",
        Takes.DIRECTORY: "-x -a '(__fish_complete_directories)'",
    }[option.takes]
    return " ".join([*flags, *([value] if value else []), f"-d {_quoted(option.help)}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
