"""One target, fuzzed in a process of its own."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.public import remove_directory

_CHECKOUT = Path(__file__).parent.parent.parent
_COUNT = re.compile(r"^stat::number_of_executed_units: *(\d+)", re.MULTILINE)


class Outcome(NamedTuple):
    """What came of fuzzing a target. ``told`` is what its process said."""

    is_clean: bool
    inputs: int  # that were tried
    took_s: float
    told: str


def fuzz_target(name: str, directory: Path, *options: str) -> Outcome:
    """Fuzz the target ``name``; its corpus, and the input that is a finding, are in ``directory``.

    ``options`` are those of ``tests.fuzz.engine``. What the target makes is removed.
    """
    started_s = time.monotonic()
    scratch = tempfile.mkdtemp(prefix="rootrun-fuzz-")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.engine", name, os.fspath(directory), *options],
            cwd=_CHECKOUT,
            env={**os.environ, "TMPDIR": scratch, "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    finally:
        remove_directory(Path(scratch))
    told = done.stdout.decode(errors="replace")
    count = _COUNT.search(told)
    took_s = time.monotonic() - started_s
    return Outcome(done.returncode == 0, int(count[1]) if count else 0, took_s, told)
