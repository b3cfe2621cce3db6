"""What the report of a failed test shows of its machines."""

import shlex
import time
from collections.abc import Sequence
from contextlib import suppress

import pytest

from rootrun.errors import RootrunError
from rootrun.testing.journal import Event, Journal, journals
from rootrun.testing.link import MachineLink
from rootrun.testing.observation import processes
from rootrun.testing.plugin.settings import settings_of

_WITH_OUTPUT = 10  # events, the last ones
_SHOWN_PROCESSES = 30
_TOLD_WITHIN_S = 5.0


def add_sections(report: pytest.TestReport, item: pytest.Item, *, since_s: float) -> None:
    """Add a section for each machine that has done something since ``since_s`` (monotonic)."""
    settings = settings_of(item.config)
    for journal in journals(since_s=since_s):
        try:
            lines = _lines(journal, since_s)
            link = journal.link()
            if link and settings.keeps:
                lines.append(settings.kept.keep(link, test=item.nodeid))
        except OSError as error:  # which would end the whole session here
            lines = [f"not to be told: {error}"]
        report.sections.append((f"rootrun machine {journal.name}", "\n".join(lines)))


def _lines(journal: Journal, since_s: float) -> list[str]:
    events = journal.since(since_s)
    lines = [f"({journal.left_out} earlier events left out)"] if journal.left_out else []
    for number, event in enumerate(events):
        has_output = number >= len(events) - _WITH_OUTPUT
        lines += _told(event, since_s, has_output=has_output)
    link, messages = journal.link(), journal.messages
    if link:
        with suppress(RootrunError):  # it was closed
            messages = link.child.messages()
            lines += link.services_told().strip("\n").splitlines()
            lines += _listed("processes", _processes(link))
    return lines + _listed("messages of rootrun", messages.splitlines())


def _processes(link: MachineLink) -> list[str]:
    deadline_s = time.monotonic() + _TOLD_WITHIN_S
    try:
        found = processes(link, deadline_s=deadline_s)
    except RootrunError as error:
        return [f"not to be told: {error}"]
    lines = [
        f"{one.pid:5} uid {one.uid} {one.state}  {shlex.join(one.command) or one.name}"
        for one in found[:_SHOWN_PROCESSES]
    ]
    more = len(found) - len(lines)
    return [*lines, f"and {more} more"] if more else lines


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def _told(event: Event, since_s: float, *, has_output: bool) -> list[str]:
    what = event.what.strip().splitlines() or [""]
    more = " ..." if len(what) > 1 else ""
    outcome = f": {event.outcome}" if event.outcome else ""
    times = f", {event.count} times" if event.count > 1 else ""
    at_s, took_s = event.started_s - since_s, event.ended_s - event.started_s
    line = f"{at_s:8.3f} s  {what[0]}{more}{outcome} ({took_s:.3f} s{times})"
    if not has_output:
        return [line]
    return [line, *(f"            | {text}" for text in event.output.splitlines())]
