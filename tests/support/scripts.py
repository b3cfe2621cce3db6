"""Test scripts, run by ``rootrun test`` as their users would."""

import subprocess

from tests.support.workplace import Workplace

PAIR = """
# /// script
# [tool.rootrun.machines]
# server-1 = "base.tar"
# client = { from = "base.tar", env = { COLOUR = "red" } }
# ///
"""
ONE = ("--from", "base.tar")


def outcome_of(place: Workplace, script: str, *args: str, stdin: bytes = b"") -> tuple[int, str]:
    """Run ``script`` in ``place``; return the status, and standard error without times."""
    done = run_script(place, script, *args, stdin=stdin)
    lines = done.stderr.decode().splitlines()
    return done.returncode, "\n".join(line[11:] if line[:1] == "[" else line for line in lines)


def run_script(
    place: Workplace, script: str, *args: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run ``script``, as ``check.py``, in ``place``, which has a busybox in ``base.tar``."""
    if not (place.path / "base.tar").exists():
        place.base()
    place.write("check.py", script.lstrip("\n"))
    return place.run("test", "check.py", *args, stdin=stdin)
