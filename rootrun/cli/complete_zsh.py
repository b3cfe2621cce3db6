"""The completion script for zsh(1), with _arguments of zshcompsys(1)."""

from rootrun.cli.commands import MAIN
from rootrun.cli.grammar import Command, Option, Takes
from rootrun.cli.subcommands import SUBCOMMANDS

_HEAD = """\
#compdef rootrun
# zsh completion for rootrun, printed by: rootrun completion zsh
_rootrun() {
    local -a subcommands
"""
_TAIL = """\
}
if [[ $funcstack[1] == _rootrun ]]; then
    _rootrun "$@"
else
    compdef _rootrun rootrun
fi
"""


def script() -> str:
    """Return the script, good for a file in $fpath and for eval alike."""
    names = " ".join(SUBCOMMANDS)
    lines = [f"    subcommands=({names})\n", "    case $words[2] in\n"]
    lines += [_command_case(command) for command in SUBCOMMANDS.values()]
    lines += [
        "        *)\n",
        "            (( CURRENT == 2 )) && compadd -a subcommands\n",
        _arguments(MAIN, "'*::command:_normal'"),
        "            ;;\n",
        "    esac\n",
    ]
    return "".join([_HEAD, *lines, _TAIL])


def _command_case(command: Command) -> str:
    return (
        f"        {command.name})\n"
        "            shift words; (( CURRENT-- ))\n"
        f"{_arguments(command, _positional(command))}            ;;\n"
    )


def _positional(command: Command) -> str:
    row = command.positional
    if row is None:
        return ""
    place = "*" if row.action == "append" else "1"
    return f"'{place}:{_quoted(row.metavar)}:{_action(row)}'"


def _arguments(command: Command, rest: str) -> str:
    specs = [_spec(option) for option in command.options] + ([rest] if rest else [])
    joined = " \\\n                ".join(specs)
    return f"            _arguments -s -S \\\n                {joined}\n"


def _spec(option: Option) -> str:
    repeat = "*" if option.action in ("append", "count") else ""
    value = f":{_quoted(option.metavar)}:{_action(option)}" if option.metavar else ""
    text = f"[{_quoted(option.help)}]{value}"
    if len(option.flags) == 1:
        equals = "=" if option.metavar else ""
        return f"'{repeat}{option.name}{equals}{text}'"
    exclusive = "" if repeat else f"({' '.join(option.flags)})"
    short, long = option.flags
    flags = f"{{{short}+,{long}=}}" if option.metavar else f"{{{short},{long}}}"
    return f"'{exclusive}{repeat}'{flags}'{text}'"


def _action(option: Option) -> str:
    if option.takes is Takes.CHOICE:
        return f"({' '.join(option.choices)})"
    return {Takes.FILE: "_files", Takes.DIRECTORY: "_files -/"}.get(option.takes, " ")


def _quoted(text: str) -> str:
    for special in "[]:":
        text = text.replace(special, f"\\{special}")
    return text.replace("'", "'\\''")
