"""The name that a process of ours shows in place of its arguments."""

import os
import subprocess

import pytest

from tests.support.program import _interpreter, installation

_SOURCE = """\
import sys
sys.path.insert(0, {libraries!r})
from rootrun.sandbox.syscalls import hide_command_line
hide_command_line("rootrun-init")
sys.stdout.write(open("/proc/self/comm").read() + open("/proc/self/cmdline").read())
"""


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["x" * 20_000], {"HOME": "/"}), (["secret"], {}), ([os.fsdecode(b"\xff")], {"A": "b"})],
    ids=["long", "no environment", "no text"],
)
def test_arguments_are_hidden(arguments: list[str], environment: dict[str, str]) -> None:
    source = _SOURCE.format(libraries=os.fspath(installation() / "lib"))
    argv = [os.fspath(_interpreter()), "-I", "-c", source, *arguments]
    done = subprocess.run(argv, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip(b"\0") == b"rootrun-init\nrootrun-init"
