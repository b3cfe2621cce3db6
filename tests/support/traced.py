"""The system calls of a run, by strace(1)."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.program import installation, run_as
from tests.support.require import require_program

_CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")


class Call(NamedTuple):
    """One call: who made it, the arguments as strace shows them, and what came of it."""

    pid: int
    name: str
    arguments: str
    result: int


def traced_run(
    args: Sequence[str], names: str, *, cwd: Path, before: Sequence[str] = ()
) -> list[Call]:
    """Run rootrun as root in ``cwd``, which must work; return the calls ``names`` in their order.

    ``before`` is a command that runs it. Arguments have paths beside descriptors.
    """
    trace = cwd / f"trace-{os.urandom(4).hex()}"
    program = os.fspath(installation() / "bin" / "rootrun")
    strace = (os.fspath(require_program("strace")), "-f", "-y", "-o", os.fspath(trace))
    done = run_as([*before, *strace, "-e", f"trace={names}", program, *args], cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    found = map(_CALL.match, _joined(trace.read_text().splitlines()))
    return [Call(int(m[1]), m[2], m[3], int(m[4])) for m in found if m]


def bytes_read(calls: Sequence[Call], file: Path) -> int:
    """Return how much of ``file`` came into a process of ours by a call of read(2)'s kind."""
    names = {"read", "pread64", "preadv", "preadv2", "readv"}
    return sum(
        call.result for call in calls if call.name in names and f"<{file}>" in call.arguments
    )


def _joined(lines: list[str]) -> Iterator[str]:
    """Put together what strace tells in two lines, because another process was busy as well."""
    begun: dict[str, str] = {}
    for line in lines:
        pid, _, text = line.partition(" ")
        if line.endswith(" <unfinished ...>"):
            begun[pid] = line.removesuffix(" <unfinished ...>")
        elif text.lstrip().startswith("<... "):
            yield begun.pop(pid, "") + text.partition(" resumed>")[2]
        else:
            yield line
