"""Whether setuid programs gain anything, by the id map and as asked for."""

from pathlib import Path

import pytest

from tests.e2e.test_denied_calls import programs, with_programs
from tests.support.workplace import Workplace, content_of

__all__ = ["programs"]
pytestmark = pytest.mark.userns

SCRIPT = """\
cp /bin/denied /set-id; chmod 4755 /set-id
(grep NoNewPrivs /proc/self/status; su app -c '/set-id euid') > /said
"""


def said(place: Workplace, *args: str, base: Path) -> str:
    """Return the flag of the script, and whose rights a setuid program gives another user."""
    flag, euid = content_of(place.build(SCRIPT, *args, base=base), "said").decode().splitlines()
    return f"{flag.split()[1]} {euid}"


def test_setuid_programs_work_with_every_id_map(
    any_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(any_workplace, programs)
    is_lone = any_workplace.account is not None and not any_workplace.account.subids
    # With one id nothing is gained in the kernel: the program's owner is emulated.
    assert said(any_workplace, base=base) == ("1 0" if is_lone else "0 0")


def test_setuid_programs_gain_nothing_where_that_is_asked_for(
    workplace: Workplace, root_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    for place in (workplace, root_workplace):
        base = with_programs(place, programs)
        assert said(place, "--no-new-privs", base=base) == "1 1000"


def test_with_one_id_they_gain_nothing_either_where_that_is_asked_for(
    lone_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(lone_workplace, programs)
    assert said(lone_workplace, "--no-new-privs", base=base) == "1 1000"
