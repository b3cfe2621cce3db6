"""The times of stages add up to the age of the process, and are told to people and programs."""

import re
import time

import pytest

from rootrun.cli.timings import Timings, process_age_s
from rootrun.progress import Silence
from tests.support.program import run_python

_TICK_S = 0.01


def test_the_age_of_a_process_begins_before_its_first_line() -> None:
    source = (
        "import time; time.sleep(0.3)\n"
        "from rootrun.cli.timings import process_age_s; print(process_age_s())"
    )
    before_s = time.monotonic()
    age_s = float(run_python(source).stdout)
    assert 0.3 - _TICK_S <= age_s <= time.monotonic() - before_s + _TICK_S


def test_a_name_of_a_process_cannot_mislead() -> None:
    source = (
        "open('/proc/self/comm', 'w').write('a) 1 2 (b')\n"
        "from rootrun.cli.timings import process_age_s; print(process_age_s())"
    )
    assert 0 <= float(run_python(source).stdout) < 60


def test_stages_add_up_to_the_whole_time() -> None:
    timings = Timings(Silence())
    timings.ended("start")
    for part in ("one", "two"):
        time.sleep(0.01)
        timings.ended("open image", part=part)
    timings.ended("start")  # a stage that comes twice is one row
    age_s = process_age_s()
    told = timings.to_json()
    stages, parts = told["stages"], told["parts"]
    assert isinstance(stages, dict)
    assert isinstance(parts, dict)
    assert list(stages) == ["start", "openImage"]
    assert sum(stages.values()) == pytest.approx(timings.total_s, abs=0.001)
    assert timings.total_s == pytest.approx(age_s, abs=2 * _TICK_S)
    assert [part["name"] for part in parts["openImage"]] == ["one", "two"]
    assert all(part["seconds"] >= 0.01 for part in parts["openImage"])


def test_what_ran_beside_is_no_part_of_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    timings = Timings(Silence())
    timings.ended("script", part="one.sh")
    before_s = timings.total_s
    timings.ran_beside("base copy", 1000.0)
    timings.ran_beside("base copy", 500.0)
    assert timings.total_s == before_s
    assert timings.to_json()["beside"] == {"baseCopy": 1500.0}
    timings.tell()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["stage", "script", "one.sh", "total", "base"]
    assert all(line.startswith("rootrun: ") for line in lines)
    assert re.search(r"total +[\d.]+ 100\.0%$", lines[3])
    assert re.search(r"base copy +1500\.000 beside$", lines[4])
