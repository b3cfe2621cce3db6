"""Completion scripts for bash, zsh and fish, made of the same rows as the parser."""

from rootrun.cli import complete_bash, complete_fish, complete_zsh
from rootrun.cli.parser import Options
from rootrun.cli.stdout import write_out

_SCRIPTS = {
    "bash": complete_bash.script,
    "zsh": complete_zsh.script,
    "fish": complete_fish.script,
}


def print_completion(options: Options) -> int:
    """Print the script of the shell that was asked for, and return the exit status."""
    write_out(_SCRIPTS[options.shell]())
    return 0
