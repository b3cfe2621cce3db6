"""The options of ``rootrun layered``, as data: those of the main job and what a store needs."""

from rootrun.cli import layered_values, options, values
from rootrun.cli.grammar import Command, Group, Option, switch

HOW = ("size", "popularity")

STORE = Group(
    "Store",
    (
        Option(
            ("--closure",),
            "paths and their references, as Nix writes them",
            "FILE",
            values.parse_path,
            action="append",
            dest="closures",
        ),
        Option(
            ("--contents",),
            "link what is in PATH from /",
            "PATH",
            values.parse_path,
            action="append",
        ),
        Option(
            ("--store-dir",),
            "of the store [/nix/store]",
            "DIR",
            layered_values.parse_store_directory,
        ),
        Option(
            ("--layering",),
            f"how paths are put in layers: {', '.join(HOW)} [{HOW[0]}]",
            "HOW",
            values.one_of(*HOW),
            choices=HOW,
        ),
        Option(
            ("--pipeline",),
            "the same by operations, JSON or a file of it",
            "FILE",
            layered_values.parse_operations,
        ),
        switch("--no-store-paths", text="leave the store out: it is mounted later"),
    ),
)

LAYERED = Command(
    "layered",
    ("usage: rootrun layered --closure FILE [--contents PATH ...] [-o OUTPUT] [OPTION ...]",),
    (
        STORE,
        options.IMAGE,
        options.SANDBOX,
        options.LAYER,
        options.OUTPUT,
        options.GENERAL,
    ),
    epilog="""
Writes an image of many layers: the paths of a closure, and on top of them links
to the contents, and what scripts change. At most 100 layers, unless told.

Example:
  rootrun layered --closure closure.json --contents /nix/store/...-hello -o hello.tar""",
)
