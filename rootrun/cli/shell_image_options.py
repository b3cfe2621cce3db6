"""The options of ``rootrun shell-image``, as data: the shell's, and those of ``layered``."""

from rootrun.cli import options, values
from rootrun.cli.grammar import Command, Group, Option
from rootrun.cli.layered_options import STORE

_BASE = ("--from", "--from-ref")  # the image has a root of its own

_SHELL = Group(
    "Shell",
    (
        Option(
            ("--shell",),
            "bash of the image [the builder]",
            "PATH",
            values.parse_absolute,
            dest="shell_path",
        ),
        Option(("--run",), "run COMMAND in it, and end", "COMMAND", values.parse_word),
        Option(
            ("--command",),
            "the same in an interactive one",
            "COMMAND",
            values.parse_word,
            dest="shell_command",
        ),
        Option(("--uid",), "of the user [1000]", "N", values.parse_id),
        Option(("--gid",), "likewise [1000]", "N", values.parse_id),
        Option(("--home",), "of the user [/build]", "DIR", values.parse_absolute),
    ),
)

SHELL_IMAGE = Command(
    "shell-image",
    ("usage: rootrun shell-image DERIVATION --closure FILE [-o OUTPUT] [OPTION ...]",),
    (
        _SHELL,
        STORE,
        Group(
            options.IMAGE.title,
            tuple(option for option in options.IMAGE.options if option.name not in _BASE),
        ),
        options.SANDBOX,
        options.LAYER,
        options.OUTPUT,
        options.GENERAL,
    ),
    epilog="""
Writes an image that starts a shell in the environment of the builder of
DERIVATION, a .drv or JSON, as nix-shell does; buildDerivation there builds it.
FILE tells what the builder needs, and the shell.

Example:
  rootrun shell-image /nix/store/...-hello.drv --closure closure.json -o hello.tar""",
    positional=Option(("derivation",), "derivation", "DERIVATION", values.parse_path),
)
