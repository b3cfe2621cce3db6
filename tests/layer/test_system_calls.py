"""What unpacking an entry asks of the kernel, counted by strace(1): no more than it needs."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.require import require_program
from tests.support.tarball import Member, directory, file, hardlink, symlink, tarball

pytestmark = pytest.mark.root

_FEW, _MANY = 20, 60
_UNPACK = """
import os, sys
from rootrun.layer.apply import apply_layer
from tests.support.unpacking import Range

os.mkdir(sys.argv[2])
tree_fd = os.open(sys.argv[2], os.O_RDONLY)
with open(sys.argv[1], "rb") as layer:
    apply_layer(layer, tree_fd=tree_fd, ids=Range(limit=int(sys.argv[3])), redirects={})
"""
_CALL = re.compile(r"(?:\d+ +)?(\w+)\(")


def _entry(kind: str, number: int) -> Member:
    made = {
        "file": file(f"d/{number}", b"content", uid=7, gid=7),
        "empty": file(f"d/{number}", uid=7, gid=7),
        "directory": directory(f"d/{number}", uid=7, gid=7),
        "symlink": symlink(f"d/{number}", "target", uid=7, gid=7),
        "hardlink": hardlink(f"d/{number}", "target"),
    }
    return made[kind]


def _calls(place: Path, kind: str, count: int, *, ids: int) -> Counter[str]:
    layer, trace = place / f"{count}.tar", place / f"{count}.trace"
    entries = (_entry(kind, number) for number in range(count))
    layer.write_bytes(tarball(file("target", b"x"), directory("d"), *entries))
    argv = (sys.executable, "-c", _UNPACK, layer, place / f"{count}", str(ids))
    strace = (require_program("strace"), "-f", "-e", "trace=%file,%desc", "-o", trace)
    subprocess.run([*strace, *argv], check=True)
    found = map(_CALL.match, trace.read_text().splitlines())
    return Counter(call[1] for call in found if call)


_FILE = {"openat": 1, "utimensat": 1, "close": 1}
# Later, when nothing is made in it any more: open, stat, mode, time, close.
_DIRECTORY = {
    "mkdirat": 1,
    "openat": 2,
    "close": 2,
    "newfstatat": 1,
    "fchmod": 1,
    "utimensat": 1,
}


@pytest.mark.parametrize(
    ("kind", "calls", "chown"),
    [
        ("file", {**_FILE, "write": 1}, "fchown"),
        ("empty", _FILE, "fchown"),
        ("directory", _DIRECTORY, "fchown"),
        ("symlink", {"symlinkat": 1, "utimensat": 1}, "fchownat"),
        ("hardlink", {"linkat": 1, "newfstatat": 2}, ""),
    ],
    ids=["file", "empty", "directory", "symlink", "hardlink"],
)
@pytest.mark.parametrize("ids", [1, 65536], ids=["one-id", "many-ids"])
def test_an_entry_takes_no_call_too_many(
    kind: str, calls: dict[str, int], chown: str, ids: int, tmp_path: Path
) -> None:
    few, many = (_calls(tmp_path, kind, count, ids=ids) for count in (_FEW, _MANY))
    wanted = {**calls, chown: 1} if chown and ids > 1 else calls
    assert few["openat"] > 0
    per_entry = {
        name: round((many[name] - few[name]) / (_MANY - _FEW), 1)
        for name in many
        if many[name] - few[name] >= (_MANY - _FEW) // 4  # not the 512 bytes that read(2) gets more
    }
    assert per_entry == wanted
