"""The options of ``rootrun shell``, as data: those of the main job, as far as they make sense."""

from rootrun.cli import image_values, options, values
from rootrun.cli.grammar import Command, Group, Option
from rootrun.cli.test_options import parse_image


def parse_commit(text: str) -> str:
    """Return what ``-o`` takes, as it is; not standard output, which the shell has."""
    output = image_values.parse_output(values.parse_text(text))
    if str(output.path) == "-":
        raise ValueError("standard output is the shell's")
    return text


_OWNER = options.LAYER.named("--owner")[0]

SHELL = Command(
    "shell",
    ("usage: rootrun shell --from IMAGE [--commit OUTPUT] [OPTION ...] [-- COMMAND [ARG ...]]",),
    (
        Group(
            "Image",
            (
                Option(("--from",), "image of the root", "IMAGE", parse_image, dest="from_image"),
                *options.IMAGE.named("--from-ref", "--arch"),
                *(
                    option._replace(help=text)
                    for option, text in zip(
                        options.IMAGE.named("--env", "--env-file", "--workdir", "--user"),
                        (
                            "set for the shell",
                            "the same, a K=V a line",
                            "the shell starts there [/]",
                            "the shell runs as it [root]",
                        ),
                        strict=True,
                    )
                ),
            ),
        ),
        Group(
            "Sandbox",
            options.SANDBOX.named(
                *("--bind", "--tmpfs", "--network", "--memory", "--disk", "--pids", "--nofile"),
                *("--cpus", "--idmap", "--rootfs", "--emulate"),
            ),
        ),
        Group(
            "Commit",
            (
                Option(
                    ("--commit",), "keep it: write an image, as -o does", "OUTPUT", parse_commit
                ),
                options.NAME,
                options.TAG,
                _OWNER._replace(help="root, keep or UID:GID [keep]"),
                options.TIMESTAMP,
                options.COMPRESSION,
            ),
        ),
        Group(
            "General",
            (
                *(options.CACHE_DIRECTORY, options.NO_CACHE, options.SCRATCH_PARENT),
                *options.MESSAGES,
                options.HELP,
            ),
        ),
    ),
    epilog="""
Starts a shell, or COMMAND, as root in a throw-away root of IMAGE. It has a
terminal of its own, unless standard input is none: then a script can be piped
in. The exit status is its own. See SHELLS in rootrun(1).

Example:
  rootrun shell --from base.tar --commit new.tar
  rootrun shell --from oci:base -- cat /etc/os-release""",
    takes_command=True,
)
