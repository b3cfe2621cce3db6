"""The bash of this machine, for images that are made of nothing."""

import os
import re
import subprocess
from pathlib import Path

from tests.support.require import require_program


def bash_bytes() -> bytes:
    """Return the program."""
    return Path(require_program("bash")).read_bytes()


def bash_libraries() -> list[str]:
    """Return the options that copy what it is linked with to the same places in an image."""
    argv = [require_program("ldd"), require_program("bash")]
    told = subprocess.run(argv, capture_output=True, check=True).stdout.decode()
    paths = re.findall(r"(/\S+) \(0x", told)
    return [word for path in paths for word in ("--copy", f"{os.path.realpath(path)}:{path}")]
