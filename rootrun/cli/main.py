"""The command line from its first word to the exit status.

This is the one place where an error becomes a line and a number; everything
below raises.
"""

from collections.abc import Callable, Sequence

from rootrun import __version__
from rootrun.cli.commands import MAIN
from rootrun.cli.grammar import Command
from rootrun.cli.messages import (
    set_up_messages,
    tell_error,
    tell_internal_error,
    tell_traceback,
)
from rootrun.cli.parser import Options, help_text, parse, split_command
from rootrun.cli.signals import signals_as_exceptions
from rootrun.cli.stdout import write_out
from rootrun.errors import (
    EXIT_ROOTRUN_FAILED,
    EXIT_SIGNAL_BASE,
    Interrupted,
    RootrunError,
    place_of,
    reason_of,
)

_SIGINT = 2
_SIGPIPE = 13


def main(argv: Sequence[str]) -> int:
    """Do what ``argv`` (without the program's name) says, and return the exit status."""
    try:
        with signals_as_exceptions():
            return _dispatch(argv)
    except BaseException as error:
        status = status_of(error)
        if "--debug" in (argv[: argv.index("--")] if "--" in argv else argv):
            tell_traceback(error)
        return status


def status_of(error: BaseException) -> int:
    """Tell ``error`` to the user, and return its exit status."""
    match error:
        case Interrupted():
            return EXIT_SIGNAL_BASE + error.signal_number
        case KeyboardInterrupt():
            return EXIT_SIGNAL_BASE + _SIGINT
        case BrokenPipeError():
            return EXIT_SIGNAL_BASE + _SIGPIPE
        case RootrunError():
            tell_error(error)
            return error.exit_code
        case OSError():  # one that nobody knew better what to say about
            where = place_of(error, "the system refuses")
            tell_error(RootrunError(f"{where}: {reason_of(error)}"))
        case MemoryError():
            tell_error(RootrunError("out of memory"))
        case _:
            tell_internal_error(error)
    return EXIT_ROOTRUN_FAILED


def _dispatch(argv: Sequence[str]) -> int:
    command = _command_of(argv)
    rest = argv[1:] if command.name else argv
    before, _ = split_command(rest)
    if "-h" in before or "--help" in before:
        write_out(help_text(command))
        return 0
    if not command.name and ("-V" in before or "--version" in before):
        write_out(f"rootrun {__version__}\n")
        return 0
    options = parse(command, rest)
    if hasattr(options, "verbose"):
        set_up_messages(verbose=options.verbose, quiet=options.quiet)
    return _job_of(command)(options)


def _command_of(argv: Sequence[str]) -> Command:
    """Return the command that the first word names, else the main job's."""
    if not argv or argv[0].startswith("-"):
        return MAIN
    # A start of the main job need not know the others.
    from rootrun.cli.subcommands import SUBCOMMANDS

    return SUBCOMMANDS.get(argv[0], MAIN)


def _job_of(command: Command) -> Callable[[Options], int]:
    """Return the function behind a command; each imports only what it needs."""
    match command.name:
        case "doctor":
            from rootrun.cli.doctor_job import run_doctor

            return run_doctor
        case "cache":
            from rootrun.cli.cache import run_cache

            return run_cache
        case "completion":
            from rootrun.cli.completion import print_completion

            return print_completion
        case "help":
            from rootrun.cli.manual import show_manual

            return show_manual
        case "":
            from rootrun.cli.run import run_main_job

            return run_main_job
        case _:
            return _image_job_of(command)


def _image_job_of(command: Command) -> Callable[[Options], int]:
    """Do the same for what takes an image, and runs nothing in it."""
    match command.name:
        case "export":
            from rootrun.cli.export import run_export

            return run_export
        case "merge":
            from rootrun.cli.merge import run_merge

            return run_merge
        case "pull":
            from rootrun.cli.pull import run_pull

            return run_pull
        case "prefetch":
            from rootrun.cli.prefetch import run_prefetch

            return run_prefetch
        case "push":
            from rootrun.cli.push import run_push

            return run_push
    return _store_job_of(command)


def _store_job_of(command: Command) -> Callable[[Options], int]:
    """Do the same for what takes the paths of a store."""
    match command.name:
        case "layered":
            from rootrun.cli.layered import run_layered

            return run_layered
        case "shell-image":
            from rootrun.cli.shell_image import run_shell_image

            return run_shell_image
    return _machine_job_of(command)


def _machine_job_of(command: Command) -> Callable[[Options], int]:
    """Do the same for what keeps machines."""
    match command.name:
        case "test":
            from rootrun.cli.test import run_test

            return run_test
        case "shell":
            from rootrun.cli.shell import run_shell

            return run_shell
    raise AssertionError(f"no such command: {command.name}")
