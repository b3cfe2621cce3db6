"""What the report of a failed test shows of its machines."""

from collections.abc import Sequence
from contextlib import suppress

import pytest

from rootrun.errors import MachineError
from rootrun.testing.journal import Event, Journal, journals
from rootrun.testing.plugin.settings import settings_of

_WITH_OUTPUT = 10  # events, the last ones


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
    link, services, messages = journal.link(), "", journal.messages
    if link:
        with suppress(MachineError):  # it was closed
            messages = link.child.messages()
            services = link.services_told()
    return [
        *lines,
        *services.strip("\n").splitlines(),
        *_listed("messages of rootrun", messages.splitlines()),
    ]


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
