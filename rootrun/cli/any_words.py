"""Any command line, read by argparse: its rare forms, and all that is wrong with one."""

import argparse
import re
from collections.abc import Sequence

from rootrun.annotation import NoReturn
from rootrun.cli.grammar import Command, Option
from rootrun.cli.values import checked
from rootrun.errors import UsageError


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are UsageErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError; argparse would print the usage and exit with 2."""
        missing = message.removeprefix("the following arguments are required: ")
        if missing != message:
            message = f"{missing}: not given"
        message = message.replace("expected one argument", "no value follows")
        message = re.sub("ignored explicit argument .*", "takes no value", message, flags=re.DOTALL)
        raise UsageError(message.removeprefix("argument "), hint=f"see {self.prog} --help")


def read_any_words(
    command: Command, words: Sequence[str], options: object, *, see_help: str
) -> None:
    """Set the attributes of ``options`` as ``words`` say; raise UsageError for what cannot be."""
    parser = _build(command)
    takes_several = command.positional is not None and command.positional.action == "append"
    # The plain way wants several positional arguments side by side.
    parse = parser.parse_known_intermixed_args if takes_several else parser.parse_known_args
    _, unknown = parse(words, options)
    if unknown:
        raise _unknown(unknown[0], command, see_help)


def _unknown(word: str, command: Command, see_help: str) -> UsageError:
    """Return the error for a word that is no option, with what may have been meant."""
    name = word.partition("=")[0]
    if not word.startswith("-"):
        hint = see_help if command.name else f"a command to run stands behind --; {see_help}"
        return UsageError(f"{word}: no such option or command", hint=hint)
    from difflib import get_close_matches

    known = [flag for option in command.options for flag in option.flags]
    similar = get_close_matches(name, known, n=1)
    hint = f"is {similar[0]} meant? {see_help}" if similar else see_help
    return UsageError(f"{name}: no such option", hint=hint)


def _build(command: Command) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"rootrun {command.name}".rstrip(), add_help=False, allow_abbrev=False)
    # Through a group: the parser's own add_argument makes a formatter each time, to check metavars.
    group = parser.add_argument_group()
    for option in command.options:
        _add(group, option)
    if command.positional:
        row = command.positional
        count = "*" if row.action == "append" else None
        group.add_argument(
            row.name, metavar=row.metavar, type=checked(row.metavar, row.parse), nargs=count
        )
    return parser


def _add(group: argparse._ArgumentGroup, option: Option) -> None:
    default = [] if option.action == "append" else option.default
    if option.action in ("store_true", "count"):
        group.add_argument(*option.flags, dest=option.key, action=option.action, default=default)
        return
    group.add_argument(
        *option.flags,
        dest=option.key,
        action=option.action,
        default=default,
        metavar=option.metavar,
        type=checked(option.name, option.parse),
    )
