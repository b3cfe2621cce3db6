"""The commands, each with its options, as data."""

from rootrun.cli import image_values, options, values
from rootrun.cli.grammar import Command, Group, Option
from rootrun.cli.layered_options import LAYERED

_TALK = (*options.MESSAGES, options.HELP)

MAIN = Command(
    "",
    (
        "usage: rootrun [--from IMAGE] --script FILE [--script FILE ...] [-o OUTPUT] [OPTION ...]",
        "       rootrun [--from IMAGE] [OPTION ...] -- COMMAND [ARG ...]",
        "       rootrun doctor | export | layered | cache | completion | help   (each has --help)",
    ),
    (options.IMAGE, options.SANDBOX, options.LAYER, options.OUTPUT, options.GENERAL),
    epilog="""\
(*) for the image alone: --config '{"User": "app"}', '{"WorkingDir": "/app"}'
Examples:
  rootrun --from base.tar --script setup.sh
  rootrun --from oci:base -o oci:new --network host -- apt-get install -y nginx
Exit status: the script's; 128+N signal, 124 timeout, 125 rootrun, 126 and 127 cannot run""",
)

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
                    "tar file, or - for stdout [IMAGE-rootfs.tar]",
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
    positional=Option(
        ("action",),
        "what to do",
        "ACTION",
        values.one_of("list", "verify", "prune"),
        choices=("list", "verify", "prune"),
    ),
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
    positional=Option(
        ("shell",),
        "the shell",
        "SHELL",
        values.one_of("bash", "zsh", "fish"),
        choices=("bash", "zsh", "fish"),
    ),
)

HELP = Command(
    "help",
    ("usage: rootrun help",),
    (Group("General", (options.HELP,)),),
    epilog="""
Shows the manual page rootrun(1).""",
)

_ALL = (DOCTOR, EXPORT, LAYERED, CACHE, COMPLETION, HELP)
SUBCOMMANDS = {command.name: command for command in _ALL}
