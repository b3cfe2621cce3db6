"""What a test script's end by an exception shows: the script's own lines, and why."""

import ast
import os
from collections.abc import Iterator
from types import FrameType, TracebackType

import rootrun
from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import Interrupted, RootrunError
from rootrun.namedtuple import NamedTuple
from rootrun.testing.driver.hints import hint_for
from rootrun.testing.driver.script import Script

if TYPE_CHECKING:
    from traceback import TracebackException

_OURS = os.path.dirname(os.path.abspath(rootrun.__file__)) + os.sep
_LONGEST_VALUE = 200


class Failure(NamedTuple):
    """Where a script failed, and why."""

    line: int | None  # of the script; None: none of its own
    reason: str  # in a line
    lines: tuple[str, ...]  # to be shown: a traceback without ours, values
    hint: str | None


def failure_of(error: BaseException, script: Script, *, shows_ours: bool) -> Failure:
    """Return what is to be shown of ``error``, which ended ``script``; the lines of rootrun too?"""
    frames = list(_frames(error.__traceback__, os.fspath(script.path)))
    line = frames[-1][1] if frames else None
    name = type(error).__name__
    first = next(iter(str(error).splitlines()), "")
    is_ours = isinstance(error, RootrunError)
    reason = first if is_ours and first else f"{name}: {first}" if first else name
    if isinstance(error, Interrupted):
        reason = "interrupted"
    lines = [*_traceback(error, script, shows_ours=shows_ours), *_values(error, script, frames)]
    return Failure(line, reason, tuple(lines), hint_for(error))


def _frames(traceback: TracebackType | None, path: str) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames of the file at ``path``, the innermost last, with their lines."""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == path:
            yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _traceback(error: BaseException, script: Script, *, shows_ours: bool) -> list[str]:
    """Return it as Python shows it, but for the lines that are not the test's."""
    from traceback import TracebackException

    told = TracebackException.from_exception(error)
    if shows_ours:
        return "".join(told.format()).rstrip("\n").splitlines()
    if isinstance(error, RootrunError):
        told.__cause__ = None  # how we came to know is of no use for a test
        told.__suppress_context__ = True
    _leave_out_ours(told, os.fspath(script.path))
    lines = "".join(told.format()).rstrip("\n").splitlines()
    return lines[:-1] if isinstance(error, Interrupted) else lines  # which says nothing of itself


def _leave_out_ours(told: "TracebackException", path: str) -> None:
    """Leave the frames of rootrun out, and what is above the script at ``path``."""
    from contextlib import __file__ as of_contextlib

    seen = [told]
    for one in seen:
        names = [frame.filename for frame in one.stack]
        one.stack[:] = [
            frame
            for frame in one.stack[names.index(path) if path in names else 0 :]
            if not frame.filename.startswith((_OURS, "<frozen")) and frame.filename != of_contextlib
        ]
        seen += [other for other in (one.__cause__, one.__context__) if other is not None]


def _values(
    error: BaseException, script: Script, frames: list[tuple[FrameType, int]]
) -> Iterator[str]:
    """Yield the values of what a failed ``assert`` names: without it only the words are shown."""
    if not isinstance(error, AssertionError) or not frames:
        return
    frame, line = frames[-1]
    statement = _assertion_at(script.text, line)
    if statement is None:
        return
    names = [node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)]
    for name in dict.fromkeys(names):
        value = frame.f_locals.get(name, frame.f_globals.get(name))
        if isinstance(value, str | bytes | int | float | tuple | list | dict | set):
            shown = repr(value)
            cut = shown[:_LONGEST_VALUE] + "..." * (len(shown) > _LONGEST_VALUE)
            yield f"  {name} = {cut}"


def _assertion_at(text: str, line: int) -> ast.Assert | None:
    """Return the statement that ``line`` is a part of, None where that asserts nothing."""
    found = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return found[-1] if found else None
