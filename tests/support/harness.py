"""Programs that use the test harness, run as their users would."""

import json

from tests.support.workplace import Workplace

PRELUDE = """
import json, os, signal, sys, threading, time
from pathlib import Path
from rootrun.testing import *
def tell(value): print(json.dumps(value))
"""


def run_harness(workplace: Workplace, source: str) -> list[object]:
    """Run ``source`` in the directory of ``workplace`` by its account, which must work.

    It finds the names of ``rootrun.testing``, an image ``base.tar`` with a busybox, and ``tell``;
    what that was called with is returned.
    """
    if not (workplace.path / "base.tar").exists():
        workplace.base()
    done = workplace.python(PRELUDE + source)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]
