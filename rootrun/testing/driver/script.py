"""A test script: its code, and one run of it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType

from rootrun.errors import UsageError, reason_of
from rootrun.namedtuple import NamedTuple


class Script(NamedTuple):
    """A file of Python that has been read."""

    path: Path  # as the user named it
    text: str
    code: CodeType


def read_script(path: Path) -> Script:
    """Read and compile ``path``; raises UsageError, with the place of what is no Python."""
    shown = os.fspath(path)
    try:
        content = path.read_bytes()
        code = compile(content, shown, "exec", dont_inherit=True)
    except OSError as error:
        raise UsageError(f"test script: {shown!r}: {reason_of(error)}") from error
    except SyntaxError as error:
        line = (error.text or "").strip()
        raise UsageError(
            f"{shown}: line {error.lineno}: {error.msg}", hint=f"it is: {line}" if line else None
        ) from None
    except ValueError as error:  # of NUL bytes
        raise UsageError(f"test script: {shown!r}: {error}") from None
    return Script(path, content.decode(errors="replace"), code)


def run_script(script: Script, names: dict[str, object]) -> None:
    """Run ``script`` with ``names`` as ``python FILE`` would; raises what it raises.

    ``names`` has its own at the end. What it prints goes to standard error: standard output has
    what was asked for.
    """
    with _as_main(script, names) as module:
        try:
            exec(script.code, module.__dict__)
        finally:
            names.update(module.__dict__)


@contextmanager
def _as_main(script: Script, names: dict[str, object]) -> Iterator[ModuleType]:
    """Make the module ``__main__`` of the script, which finds its neighbours by ``import``."""
    from contextlib import redirect_stdout

    module = ModuleType("__main__")
    module.__dict__.update(names, __file__=os.fspath(script.path))
    before = sys.modules["__main__"], [*sys.path]
    sys.modules["__main__"] = module
    sys.path.insert(0, os.path.abspath(script.path.parent))
    try:
        with redirect_stdout(sys.stderr):
            yield module
    finally:
        sys.modules["__main__"], sys.path[:] = before
