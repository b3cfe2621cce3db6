"""The commands beside the main job, each with its options, as data."""

from rootrun.cli import image_values, options, registry_options, values
from rootrun.cli.grammar import Command, Group, Option
from rootrun.cli.layered_options import LAYERED
from rootrun.cli.shell_image_options import SHELL_IMAGE
from rootrun.cli.shell_options import SHELL
from rootrun.cli.test_options import TEST_COMMAND

_TALK = (*options.MESSAGES, options.HELP)


def _word(name: str, *, text: str, choices: tuple[str, ...]) -> Option:
    """Return an argument that is one of ``choices``."""
    return Option((name,), text, name.upper(), values.one_of(*choices), choices=choices)


EXPORT = Command(
    "export",
    ("usage: rootrun export IMAGE [-o OUTPUT] [OPTION ...]",),
    (
        Group(
            "Image",
            (options.FROM_REF, options.ARCHITECTURE, options.ID_MAP, options.ROOTFS),
        ),
        Group(
            "Output",
            (
                Option(
                    ("-o", "--output"),
                    "tar file, dir:PATH, or - for stdout [IMAGE-rootfs.tar]",
                    "OUTPUT",
                    values.parse_text,
                    dest="export_to",
                ),
                options.TIMESTAMP,
                options.COMPRESSION,
            ),
        ),
        Group(
            "General",
            (
                options.CACHE_DIRECTORY,
                options.NO_CACHE,
                options.SCRATCH_PARENT,
                *_TALK,
                options.PROGRESS,
            ),
        ),
    ),
    epilog="""
Writes the merged tree of all layers of IMAGE, without image metadata.

Example:
  rootrun export base.tar -o rootfs.tar""",
    positional=Option(("image",), "image to export", "IMAGE", image_values.parse_source),
)

_WRITE_TO = Option(
    ("-o", "--output"), "file, oci-archive:FILE or -", "OUTPUT", image_values.parse_output
)
_FILES = Group("General", (options.SCRATCH_PARENT, options.JSON, *_TALK))

MERGE = Command(
    "merge",
    ("usage: rootrun merge IMAGE ... -o OUTPUT [OPTION ...]",),
    (Group("Images", (options.ARCHITECTURE, _WRITE_TO)), _FILES),
    epilog="""
Writes one archive with all images, each by its own names.

Example:
  rootrun merge one.tar oci:two:latest -o both.tar""",
    positional=Option(("words",), "images to merge", "IMAGE", str, action="append"),
)

PULL = Command(
    "pull",
    ("usage: rootrun pull docker://NAME@DIGEST [-o OUTPUT] [OPTION ...]",),
    (
        registry_options.FETCH,
        Group("Output", (registry_options.ALLOW_TAG, _WRITE_TO, options.NAME, options.TAG)),
        _FILES,
    ),
    epilog="""
Fetches an image into an archive, and prints its name by digest.

Example:
  rootrun pull --allow-tag docker://debian:stable -o debian.tar""",
    positional=Option(
        ("registry_name",), "image to fetch", "docker://NAME", image_values.parse_registry
    ),
)

PREFETCH = Command(
    "prefetch",
    ("usage: rootrun prefetch [OPTION ...] NAME [TAG|DIGEST]",),
    (registry_options.PREFETCHED, registry_options.FETCH, _FILES),
    epilog="""
Prints the arguments of dockerTools' pullImage for an image, as Nix or JSON.

Example:
  rootrun prefetch nixos/nix 2.24.0""",
    positional=Option(("words",), "name and tag", "NAME", str, action="append"),
)

PUSH = Command(
    "push",
    ("usage: rootrun push IMAGE docker://NAME[:TAG] [OPTION ...]",),
    (registry_options.PUSH, Group("General", (options.SCRATCH_PARENT, *_TALK))),
    epilog="""
Pushes an image to a registry, and prints the digest of its manifest there.

Example:
  rootrun push new.tar docker://localhost:5000/new:1""",
    positional=Option(("words",), "image and name", "IMAGE", str, action="append"),
)

CACHE = Command(
    "cache",
    ("usage: rootrun cache list | verify | prune [OPTION ...]",),
    (
        Group("Prune", (options.UNUSED_FOR,)),
        Group("General", (options.CACHE_DIRECTORY, options.JSON, *_TALK)),
    ),
    epilog="""
list    show the layers, unpacked or of a step, their sizes and their last use
verify  compare each with its record, and remove what differs; status 1 if any did
prune   remove them""",
    positional=_word("action", text="what to do", choices=("list", "verify", "prune")),
)

DOCTOR = Command(
    "doctor",
    ("usage: rootrun doctor [OPTION ...]",),
    (Group("General", (options.CACHE_DIRECTORY, options.SCRATCH_PARENT, options.JSON, *_TALK)),),
    epilog="""
Shows what this machine allows, what a run would use, and how to get what is
missing. The exit status is 125 if no run can work here.""",
)

COMPLETION = Command(
    "completion",
    ("usage: rootrun completion bash | zsh | fish",),
    (Group("General", (options.HELP,)),),
    epilog="""
Prints a completion script, for example for bash:
  rootrun completion bash > ~/.local/share/bash-completion/completions/rootrun""",
    positional=_word("shell", text="the shell", choices=("bash", "zsh", "fish")),
)

HELP = Command(
    "help",
    ("usage: rootrun help",),
    (Group("General", (options.HELP,)),),
    epilog="""
Shows the manual page rootrun(1).""",
)

_ALL = (
    *(EXPORT, LAYERED, MERGE, PULL, PREFETCH, PUSH, SHELL, SHELL_IMAGE, TEST_COMMAND),
    *(DOCTOR, CACHE, COMPLETION, HELP),
)
SUBCOMMANDS = {command.name: command for command in _ALL}
