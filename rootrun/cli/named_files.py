"""The files that options name: that those to read are there, and those to write can be written."""

import os
from collections.abc import Iterable
from pathlib import Path

from rootrun.cli.parser import Options
from rootrun.errors import UsageError
from rootrun.image.reference import OutputReference
from rootrun.request import STDIN


def check_exists(option: str, path: Path, *, hint: str | None = None) -> None:
    """Raise UsageError unless there is something at ``path``."""
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{option}: {os.fspath(path)!r}: {why}", hint=hint) from None


def check_scripts(option: str, scripts: Iterable[Path]) -> None:
    """Raise UsageError unless each of ``scripts`` is standard input or a file."""
    for script in scripts:
        if script != STDIN:
            check_exists(option, script)
            if script.is_dir():
                raise UsageError(f"{option}: {os.fspath(script)!r}: Is a directory")


def check_result_files(options: Options, output: OutputReference) -> None:
    """See that the files of the result can be written: afterwards the image would be there."""
    taken = {os.path.realpath(output.path): "--output"}
    for option, path in (
        ("--iidfile", options.iidfile),
        ("--digestfile", options.digestfile),
        ("--metadata-file", options.metadata_file),
    ):
        if path is None:
            continue
        check_exists(option, path.parent)
        if path.is_dir():
            raise UsageError(f"{option}: {os.fspath(path)!r}: Is a directory")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise UsageError(f"{option}: {os.fspath(path)!r}: Permission denied")
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option:
            raise UsageError(f"{option}: {os.fspath(path)!r}: the same file as that of {other}")
