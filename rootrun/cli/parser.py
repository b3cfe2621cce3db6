"""The command line of each command, read by the rows in cli/options.py."""

from collections.abc import Sequence
from pathlib import Path

from rootrun.annotation import TYPE_CHECKING
from rootrun.cli.grammar import Command, Option
from rootrun.cli.image_values import Tag
from rootrun.cli.plain_words import read_plain_words
from rootrun.cli.values import Owner
from rootrun.errors import UsageError
from rootrun.image.reference import ImageReference, OutputReference
from rootrun.request import Bind, CopyIn, Helper

if TYPE_CHECKING:
    from rootrun.image.registry_name import RegistryName

_HELP_COLUMN = 29


class Options:
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
    helpers: list[Helper]
    registrations: list[Path]
    extra_scripts: list[Path]
    references: list[Path]
    copy_dirlinks: bool
    keep_dirlinks: bool
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
    compat: str | None
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
    registry_name: "RegistryName"
    words: list[str]
    os: str | None
    no_tls_verify: bool
    cert_dir: Path | None
    authfile: Path | None
    allow_tag: bool
    image_name: str | None
    image_tag: str | None
    image_digest: str | None
    final_image_name: str | None
    final_image_tag: str | None
    action: str
    shell: str
    unused_for: float | None
    closures: list[Path]
    contents: list[Path]
    store_dir: str | None
    layering: str | None
    pipeline: list[object] | None
    no_store_paths: bool
    derivation: Path
    shell_path: str | None
    shell_command: str | None
    run: str | None
    uid: int | None
    gid: int | None
    home: str | None
    test_script: Path
    machines: list[tuple[str, str]]
    from_image: str | None
    interactive: bool
    commit: str | None
    keep_going: bool
    command: tuple[str, ...]  # what stood behind --


def parse(command: Command, argv: Sequence[str]) -> Options:
    """Return the options in ``argv``; everything behind the first ``--`` is the command to run."""
    before, after = split_command(argv)
    see_help = f"see rootrun {command.name} --help".replace("  ", " ")
    if after and not command.takes_command:
        raise UsageError(f"rootrun {command.name}: takes no -- COMMAND", hint=see_help)
    options = Options()
    if not read_plain_words(command, before, options):
        # A fifth of a warm run's start, for what few command lines have.
        from rootrun.cli.any_words import read_any_words

        read_any_words(command, before, options, see_help=see_help)
    options.command = tuple(after)
    return options


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


def help_text(command: Command) -> str:
    """Return the help of ``command``: a line an option, so that the whole fits on a screen."""
    lines = list(command.usage)
    for group in command.groups:
        lines += ["", f"{group.title}:"] if command.name else [f"{group.title}:"]
        lines += _help_lines(group.options)
    return "\n".join([*lines, command.epilog]).rstrip("\n") + "\n"


def _help_lines(options: Sequence[Option]) -> list[str]:
    rows: list[tuple[str, str]] = []  # what is typed, and what it does
    for option in options:
        flags = ", ".join(option.flags) if len(option.flags) > 1 else f"    {option.name}"
        typed = f"{flags} {option.metavar}".rstrip()
        if option.shares_row:
            before, text = rows.pop()
            rows.append((f"{before} | {typed.strip()}", text))
        else:
            rows.append((typed, option.help))
    return [f"  {typed:<{_HELP_COLUMN}} {text}".rstrip() for typed, text in rows]
