"""The completion script for bash(1), Programmable Completion."""

from rootrun.cli.commands import MAIN
from rootrun.cli.grammar import Command, Option, Takes
from rootrun.cli.subcommands import SUBCOMMANDS

_COMPLETED = (Takes.CHOICE, Takes.DIRECTORY, Takes.FILE)
_HEAD = """\
# bash completion for rootrun, printed by: rootrun completion bash
_rootrun() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} word
    local options words files=
    COMPREPLY=()
    # COMP_WORDBREAKS has the = of --option=value: it is a word of its own here.
    if [[ $current == = ]]; then
        current=
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $word == -- ]] && { compopt -o default; return; }
    done
    local command=${COMP_WORDS[1]}
    (( COMP_CWORD == 1 )) && command=
"""
_TAIL = """\
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ -n $files ]] && compopt -o default
}
complete -F _rootrun rootrun
"""


def script() -> str:
    """Return the script."""
    return "".join([_HEAD, *_values(), *_commands(), _TAIL])


def _values() -> list[str]:
    """Return a case for each option that takes a value; the options of one name agree."""
    options = {option.name: option for command in _all() for option in command.options}
    cases = [_case(option) for option in options.values() if option.takes in _COMPLETED]
    texts = [
        flag for option in options.values() if option.takes is Takes.TEXT for flag in option.flags
    ]
    return [
        "    case $previous in\n",
        *cases,
        f"        {'|'.join(texts)}) return ;;\n",
        "    esac\n",
    ]


def _case(option: Option) -> str:
    flags = "|".join(option.flags)
    if option.takes is Takes.CHOICE:
        words = " ".join(option.choices)
        action = f'COMPREPLY=($(compgen -W "{words}" -- "$current"))'
    elif option.takes is Takes.DIRECTORY:
        action = 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$current"))'
    else:
        action = "compopt -o default"
    return f"        {flags}) {action}; return ;;\n"


def _commands() -> list[str]:
    cases = [_command_case(command) for command in SUBCOMMANDS.values()]
    return ["    case $command in\n", *cases, _main_case(), "    esac\n"]


def _command_case(command: Command) -> str:
    words = " ".join(command.positional.choices) if command.positional else ""
    files = "1" if command.positional and command.positional.takes is Takes.FILE else ""
    return f'        {command.name}) options="{_flags(command)}" words="{words}" files={files} ;;\n'


def _main_case() -> str:
    words = " ".join(SUBCOMMANDS)
    return (
        f'        *) options="{_flags(MAIN)}"\n'
        f'           words=; (( COMP_CWORD == 1 )) && words="{words}" ;;\n'
    )


def _flags(command: Command) -> str:
    return " ".join(flag for option in command.options for flag in option.flags)


def _all() -> list[Command]:
    return [MAIN, *SUBCOMMANDS.values()]
