"""The parts of the torture: what is done to how many runs, as which caller."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.support.users import temporary_account
from tests.torture import archives, crowds, faults, kills
from tests.torture.ground import Ground, open_ground

_SINGLE, _SUBIDS, _COPIED = "lone", "tester", "copied"
_CALLERS = (_SINGLE, _SUBIDS, _COPIED)
"""An account with one id, one with subordinate ids, and one whose roots are copies."""

_Wrongs = Callable[[Ground, int, int | None], Iterator[list[str]]]  # of seed and count


class Part(NamedTuple):
    """A kind of torture. ``wrongs`` yields what is wrong after each of its runs."""

    name: str
    told: str
    usual_count: int | None  # of runs by all callers; None: as many as there are, by each
    command: tuple[str, ...]
    wrongs: _Wrongs


class Figures(NamedTuple):
    """What came of a part."""

    told: str
    runs: int
    wrong: int  # runs after which anything was wrong
    took_s: float


def _archives(ground: Ground, seed: int, count: int | None) -> Iterator[list[str]]:
    return archives.wrongs_of_archives(ground, seed=seed, count=count)


def _faults(ground: Ground, seed: int, count: int | None) -> Iterator[list[str]]:
    return faults.wrongs_of_faults(ground, faults.faults_of(ground, seed=seed, count=count))


def _kills(ground: Ground, seed: int, count: int | None) -> Iterator[list[str]]:
    return kills.wrongs_of_kills(ground, seed=seed, count=count or 0)


def _stops(ground: Ground, seed: int, count: int | None) -> Iterator[list[str]]:
    return kills.wrongs_of_stops(ground, seed=seed, count=count or 0)


def _crowds(ground: Ground, seed: int, count: int | None) -> Iterator[list[str]]:
    return crowds.wrongs_of_crowds(ground, seed=seed, count=count or 0)


_PLAIN = ("mkdir", "/made")
PARTS = (
    Part("archives", "hostile and odd archives", None, ("true",), _archives),
    Part("faults", "system calls that fail", None, _PLAIN, _faults),
    Part("kills", "kills of one process", 500, kills.SCRIPT, _kills),
    Part("stops", "signals: one, two, to the group", 200, kills.SCRIPT, _stops),
    Part("crowds", f"{crowds.RUNS} runs at once on a cold cache", 20, _PLAIN, _crowds),
)


def run_part(part: Part, *, seed: int, count: int | None, tell: Callable[[str], object]) -> Figures:
    """Run ``part`` as all callers in turn; ``tell`` hears of each wrong."""
    started_s = time.monotonic()
    done = wrong = 0
    for index, caller in enumerate(_CALLERS):
        share = None if count is None else (count + index) // len(_CALLERS)
        if share == 0:
            continue
        options = ("--rootfs", "copy") if caller == _COPIED else ()
        with (
            temporary_account(f"tortured-{caller}", subids=caller == _SUBIDS) as account,
            open_ground(account, *options, command=part.command) as ground,
        ):
            for wrongs in part.wrongs(ground, seed, share):
                done += 1
                wrong += bool(wrongs)
                for told in wrongs:
                    tell(f"{part.name}, {caller}: {told}")
    return Figures(part.told, done, wrong, time.monotonic() - started_s)
