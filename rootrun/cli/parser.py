"""The parser of each command, made of the rows in cli/options.py."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from rootrun.annotation import NoReturn
from rootrun.cli.grammar import Command, Option
from rootrun.cli.image_values import Tag
from rootrun.cli.values import Owner, checked
from rootrun.errors import UsageError
from rootrun.image.reference import ImageReference, OutputReference
from rootrun.request import Bind, CopyIn

_HELP_COLUMN = 29


class Options(argparse.Namespace):
    """Every value that a command line can hold, by dest. A command sets those it has."""

    base: ImageReference | None
    from_ref: str | None
    arch: str | None
    config: dict[str, object] | None
    env: list[tuple[str, str]]
    env_file: list[tuple[tuple[str, str], ...]]
    cmd: tuple[str, ...] | None
    entrypoint: tuple[str, ...] | None
    workdir: str | None
    user: str | None
    label: list[tuple[str, str]]
    expose: list[str]
    volume: list[str]
    created: str | None
    scripts: list[Path]
    copies: list[CopyIn]
    copy_dirlinks: bool
    binds: list[Bind]
    tmpfs: list[str]
    network: str
    timeout: float | None
    memory: int | None
    disk: int | None
    pids: int | None
    nofile: int | None
    cpus: float | None
    idmap: str
    rootfs: str
    emulate: str
    seccomp: str
    no_new_privs: bool
    timestamp: int | None
    owner: Owner | None
    compression: str
    squash: bool
    max_layers: int | None
    step_cache: bool
    check: bool
    output: OutputReference | None
    name: str | None
    tag: Tag | None
    iidfile: Path | None
    digestfile: Path | None
    metadata_file: Path | None
    json: bool
    cache_dir: Path | None
    no_cache: bool
    tmpdir: Path | None
    keep: bool
    quiet: int
    verbose: int
    debug: bool
    progress: str
    timings: bool
    help: bool
    version: bool
    image: ImageReference
    export_to: str | None
    action: str
    shell: str
    unused_for: float | None
    command: tuple[str, ...]  # what stood behind --


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


def parse(command: Command, argv: Sequence[str]) -> Options:
    """Return the options in ``argv``; everything behind the first ``--`` is the command to run."""
    before, after = split_command(argv)
    see_help = f"see rootrun {command.name} --help".replace("  ", " ")
    if after and command.name:
        raise UsageError(f"rootrun {command.name}: takes no -- COMMAND", hint=see_help)
    options = Options()
    _, unknown = _build(command).parse_known_args(before, options)
    if unknown:
        raise _unknown(unknown[0], command, see_help)
    options.command = tuple(after)
    return options


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


def split_command(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return what stands before the first ``--``, and what stands behind it."""
    # Not left to argparse: it would take options out of what follows the --.
    if "--" not in argv:
        return argv, ()
    position = argv.index("--")
    if not argv[position + 1 :]:
        raise UsageError("--: no command follows", hint="see rootrun --help")
    if not argv[position + 1]:
        raise UsageError("--: '': an empty name of a command")
    return argv[:position], argv[position + 1 :]


def _build(command: Command) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"rootrun {command.name}".rstrip(), add_help=False, allow_abbrev=False)
    # Through a group: the parser's own add_argument makes a formatter each time, to check metavars.
    group = parser.add_argument_group()
    for option in command.options:
        _add(group, option)
    if command.positional:
        row = command.positional
        group.add_argument(row.name, metavar=row.metavar, type=checked(row.metavar, row.parse))
    return parser


def _add(group: argparse._ArgumentGroup, option: Option) -> None:
    default = [] if option.action == "append" else option.default
    dest = option.dest or option.name.removeprefix("--").replace("-", "_")
    if option.action in ("store_true", "count"):
        group.add_argument(*option.flags, dest=dest, action=option.action, default=default)
        return
    group.add_argument(
        *option.flags,
        dest=dest,
        action=option.action,
        default=default,
        metavar=option.metavar,
        type=checked(option.name, option.parse),
    )


def help_text(command: Command) -> str:
    """Return the help of ``command``: a line an option, so that the whole fits on a screen."""
    lines = list(command.usage)
    for group in command.groups:
        lines += ["", f"{group.title}:"] if command.name else [f"{group.title}:"]
        lines += [_help_line(option) for option in group.options]
    return "\n".join([*lines, command.epilog]).rstrip("\n") + "\n"


def _help_line(option: Option) -> str:
    flags = ", ".join(option.flags) if len(option.flags) > 1 else f"    {option.name}"
    return f"  {f'{flags} {option.metavar}':<{_HELP_COLUMN}} {option.help}".rstrip()
