"""Runs of the benchmarks: what they cost, their order and their end."""

import signal
from functools import partial

import pytest

from benchmarks.timing import in_turns, last_line, timed
from tests.support.users import Account

pytestmark = pytest.mark.root

_BUSY = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"


def test_runs_tell_status_words_and_the_time_of_children(tester: Account) -> None:
    run = timed(["sh", "-c", f"sh -c '{_BUSY}'; id -u; pwd; echo $V >&2; exit 3"],
                account=tester, env={"V": "word"})  # fmt: skip
    assert run.status == 3
    assert run.stdout.split() == [str(tester.uid), str(tester.home)]
    assert run.stderr == "word\n"
    assert run.cpu_s > 0
    assert run.cpu_s < run.wall_s * 2


def test_the_memory_of_the_largest_process_is_told(tester: Account) -> None:
    take = f"python3 -I -c 'bytearray({300 << 20})' & wait"
    small, large = (timed(["sh", "-c", c], account=tester).must_work() for c in ("true", take))
    assert small.peak_bytes < 20 << 20
    assert 300 << 20 <= large.peak_bytes < 600 << 20


def test_failed_runs_end_the_benchmark_with_their_last_word(tester: Account) -> None:
    run = timed(["sh", "-c", "echo one >&2; echo two >&2; exit 4"], account=tester)
    with pytest.raises(SystemExit, match="status 4: two"):
        run.must_work()


def test_runs_that_take_too_long_are_killed(tester: Account) -> None:
    run = timed(["sleep", "1000"], account=tester, longest_s=0.2)
    assert run.status == -signal.SIGKILL
    assert run.wall_s < 100


def test_jobs_take_turns() -> None:
    order: list[str] = []
    results = in_turns({"a": partial(order.append, "a"), "b": partial(order.append, "b")}, repeat=3)
    assert order == ["a", "b"] * 3
    assert results == {"a": [None] * 3, "b": [None] * 3}


def test_the_last_line_is_one_that_says_something() -> None:
    assert last_line("one\n  two \n\n \n") == "two"
    assert last_line("\n") == "no word"
