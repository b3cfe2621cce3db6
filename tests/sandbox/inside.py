"""Running a test's own function as root of namespaces, in a process of its own."""

import inspect
import textwrap
from collections.abc import Callable
from typing import TypeVarTuple

from tests.support.program import run_python
from tests.support.users import Account

_PRELUDE = """\
import os, sys
from pathlib import Path
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.userns import enter_namespaces
enter_namespaces(choose_id_map("auto"))
"""


Arguments = TypeVarTuple("Arguments")


def run_inside(
    function: Callable[[*Arguments], None], *arguments: *Arguments, account: Account | None = None
) -> str:
    """Run the source of ``function`` in new namespaces and return what it wrote to stdout.

    It may use ``os``, ``sys`` and ``Path``, and imports the rest itself; it must not close over
    anything. Its arguments are passed by their repr.
    """
    source = textwrap.dedent(inspect.getsource(function))
    call = f"{function.__name__}({', '.join(map(repr, arguments))})"
    done = run_python(f"{_PRELUDE}\n{source}\n{call}", account=account)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
