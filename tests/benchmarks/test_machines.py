"""The benchmark of machines as a program: its table, and that nothing of it is left."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.public import PREFIX, public_parent

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.peers, pytest.mark.slow]

_CHECKOUT = Path(__file__).parent.parent.parent


def test_each_row_has_times_of_both_callers_and_podman_has_its_own() -> None:
    argv = [sys.executable, "-m", "benchmarks", "machines", "--rounds", "1"]
    with subprocess.Popen(argv, cwd=_CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        table, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    rows = re.findall(r"^(\S.*?) +[\d.]+ +[\d.]+ +(\d*)$", table, re.MULTILINE)
    assert [target for _, target in rows if target] == ["60", "5", "40", "250"]
    assert len(rows) == 6
    assert re.search(r"^podman run --rm +[\d.]+  of which ours takes 0\.\d+$", table, re.MULTILINE)
    mine = f"{PREFIX}{process.pid}"
    assert mine not in Path("/etc/passwd").read_text()
    assert not list(public_parent().glob(f"{mine}*"))
