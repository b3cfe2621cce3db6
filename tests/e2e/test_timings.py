"""--timings tells where the time of a run went, and costs a run without it nothing."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.support.program import run_python
from tests.support.tarball import directory, tarball
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns

STAGES = [
    *("start", "openImage", "namespaces", "openOutput", "openCache", "unpack", "rootfs"),
    *("script", "pack", "waitForBaseCopy", "output", "cleanUp"),
]


def timed_run(place: Workplace, script: str, *options: str) -> tuple[dict[str, object], str]:
    """Run ``script`` on a base of two layers; return ``timings`` of the JSON and what was said."""
    base = place.path / "base.tar"
    if not base.exists():
        place.base("base.tar", busybox_layer(), tarball(directory("srv")))
    place.write("setup.sh", script)
    image = ("--from", base, "--script", "setup.sh", "-o", "o.tar")
    done = place.run(*image, "--json", "--timings", *options)
    assert done.returncode == 0, done.stderr.decode()
    timings = json.loads(done.stdout)["timings"]
    assert isinstance(timings, dict)
    return timings, done.stderr.decode()


def stages_of(timings: dict[str, object]) -> dict[str, float]:
    stages = timings["stages"]
    assert isinstance(stages, dict)
    return stages


def test_every_stage_is_told_and_they_add_up_to_the_wall_time(any_workplace: Workplace) -> None:
    timed_run(any_workplace, "true\n")  # what tests run is installed
    before_s = time.monotonic()
    timings, _ = timed_run(any_workplace, "sleep 1; touch /x\n")
    wall_s = time.monotonic() - before_s
    stages, total_s = stages_of(timings), timings["total"]
    assert isinstance(total_s, float)
    assert list(stages) == STAGES
    assert sum(stages.values()) == pytest.approx(total_s, abs=0.001 * len(stages))
    assert wall_s * 0.5 < total_s <= wall_s + 0.01  # a clock tick
    assert timings["beside"].keys() == {"baseCopy"}  # type: ignore[attr-defined] # checked by it


def test_layers_are_parts_that_tell_whether_they_were_cached(any_workplace: Workplace) -> None:
    for cached in ("", ", cached"):
        timings, _ = timed_run(any_workplace, "true\n", "--cache-dir", "c")
        parts = timings["parts"]
        assert isinstance(parts, dict)
        names = [part["name"] for part in parts["unpack"]]
        assert names == [f"layer 1 of 2{cached}", f"layer 2 of 2{cached}"]
        seconds = sum(part["seconds"] for part in parts["unpack"])
        assert seconds == pytest.approx(stages_of(timings)["unpack"], abs=0.001)


def test_a_script_that_waits_is_seen_to(any_workplace: Workplace) -> None:
    timings, shown = timed_run(any_workplace, "sleep 1\n", "-q")
    stages = stages_of(timings)
    assert stages["script"] >= 1
    row = re.search(r"^rootrun: script +(\d+\.\d+) +\d+\.\d%$", shown, re.MULTILINE)
    assert row
    assert float(row[1]) == pytest.approx(stages["script"], abs=0.001)


def test_the_second_run_of_a_check_is_a_stage(workplace: Workplace) -> None:
    timings, _ = timed_run(workplace, "sleep 1\n", "--check")
    assert stages_of(timings)["secondRun"] >= 1
    assert stages_of(timings)["script"] < 30


def test_the_table_is_told_beside_an_image_on_stdout(workplace: Workplace) -> None:
    base = workplace.base()
    done = workplace.run("--from", base, "-o", "-", "--timings", "-q", "--", "true")
    assert done.returncode == 0, done.stderr.decode()
    first, *rest = done.stderr.decode().splitlines()
    assert re.fullmatch(r"rootrun: stage +wall s +share", first)
    assert len(rest) == len(STAGES) + 4  # a layer, a script, the total, what ran beside
    assert b"manifest.json" in done.stdout


def test_a_run_without_it_loads_and_tells_nothing_of_it(workplace: Workplace) -> None:
    source = (
        "from rootrun.cli.main import main\n"
        "main(['--from', 'base.tar', '--json', '-o', 'o.tar', '--', 'true'])\n"
        "print('rootrun.cli.timings' in sys.modules)"
    )
    base: Path = workplace.base()
    done = run_python(source, account=workplace.account, cwd=base.parent)
    result, loaded = done.stdout.decode().splitlines()
    assert loaded == "False"
    assert "timings" not in json.loads(result)
