"""``python -m rootrun.cli.launcher FILE``: write a ``rootrun`` that starts faster than pip's.

What pip installs reads each .pth file of the interpreter's site-packages, and runs what stands
in them: 3 ms of each start in a clean environment, 40 and more in one with editable packages.
No wheel can ask pip for better: it drops the options of a script's interpreter. So this is for
who packages or installs rootrun, once the package and what it needs are in their place.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import rootrun
from rootrun.errors import EXIT_ROOTRUN_FAILED, RootrunError, UsageError

# -I: no environment variable, user's directory or current one counts. -S: no .pth file.
_OPTIONS = "-IS"
_MAX_SHEBANG = 127  # before Linux 5.1; execve(2)
_NEEDED = ("prctl", "_prctl", "psutil", "isal", "backports")
_PROGRAM = """\
import sys

sys.path += {directories!r}
from rootrun.__main__ import run

run()
"""


def launcher_text(python: str, directories: Sequence[str]) -> str:
    """Return a program for the interpreter at the absolute path ``python``.

    The package and what it needs are in ``directories``. Raises UsageError for a path that
    cannot stand in one.
    """
    for path in (python, *directories):
        if not path.isprintable() or "\\" in path or not path.startswith("/"):
            raise UsageError(f"launcher: {path!r}: cannot be named in a program")
    shebang = f"#!{python} {_OPTIONS}\n"
    if len(os.fsencode(shebang)) > _MAX_SHEBANG or " " in python:
        # To sh(1) this executes the interpreter, to that it is a text.
        shebang = f"#!/bin/sh\n'''exec' {shlex.quote(python)} {_OPTIONS} \"$0\" \"$@\"\n' '''\n"
    return shebang + _PROGRAM.format(directories=list(directories))


def write_launcher(file: Path) -> None:
    """Write a program for this interpreter, with the package and what it needs as found here."""
    found = [_directory_of(name) for name in _NEEDED]
    ours = os.path.dirname(os.path.dirname(os.path.abspath(rootrun.__file__)))
    directories = list(dict.fromkeys([ours, *filter(None, found)]))
    text = launcher_text(os.path.abspath(sys.executable), directories)
    try:
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)
    except OSError as error:
        raise UsageError(f"launcher: {os.fspath(file)!r}: {error.strerror}") from error


def _directory_of(name: str) -> str | None:
    """Return the directory that has to be in sys.path for ``name``, None where it is not there."""
    spec = find_spec(name)
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or []), spec.origin or ""]
    return os.path.dirname(os.path.abspath(places[0])) if places[0] else None


def _main(words: Sequence[str]) -> int:
    from rootrun.cli.messages import tell_error

    try:
        if len(words) != 1 or words[0].startswith("-"):
            raise UsageError("launcher: not one FILE to write")
        write_launcher(Path(words[0]))
    except RootrunError as error:
        tell_error(error)
        return EXIT_ROOTRUN_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
