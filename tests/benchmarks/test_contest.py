"""The comparison with the peers as a program: its table, and that nothing of it is left."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases import ALL_CASES, chosen_cases
from benchmarks.contenders import CONTENDERS, Contender, fault
from benchmarks.timing import Run
from tests.support.images import docker_archive
from tests.support.public import PREFIX, public_parent
from tests.support.tarball import file, tarball

_CHECKOUT = Path(__file__).parent.parent.parent


def _run(status: int = 0, stderr: str = "") -> Run:
    return Run(status=status, stdout="", stderr=stderr, wall_s=1.0, cpu_s=1.0, peak_bytes=1)


def _start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=_CHECKOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _assert_nothing_left(pid: int) -> None:
    mine = f"{PREFIX}{pid}"
    for path in ("/etc/passwd", "/etc/subuid", "/proc/self/mounts"):
        assert mine not in Path(path).read_text()
    assert not list(public_parent().glob(f"{mine}*"))


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.peers
@pytest.mark.slow
def test_every_contender_has_a_time_or_a_reason_and_nothing_is_left() -> None:
    rows = ["small-plain-true-cold", "small-zstd-setup-cold", "small-plain-files-warm"]
    chosen = [word for row in rows for word in ("--row", row)]
    process = _start(*chosen, "--repeat", "1", "--markdown")
    table, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    heads, _, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    assert heads[1 : len(CONTENDERS) + 1] == [contender.name for contender in CONTENDERS]
    assert sorted(line[0] for line in lines) == sorted(rows)
    for line in lines:
        cells = dict(zip(heads, line, strict=True))
        assert float(cells["rootrun"]) > 0
        assert float(cells["to by hand"]) > 0
        for name in (contender.name for contender in CONTENDERS):
            assert (cells[name] == "-") == bool(re.search(rf"^- {name}: .*{line[0]}", table, re.M))
    assert re.search(r"^Wall seconds, medians of 1 .*\d{4}-\d\d-\d\d; .* cores", table, re.M)
    _assert_nothing_left(process.pid)


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
def test_many_runs_leave_as_much_as_one_and_nothing_is_left() -> None:
    process = _start("endurance", "--runs", "20")
    table, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, table + stderr
    grown = re.findall(r"^more (.*?)  +\d+ +(-?\d+)", table, re.MULTILINE)
    assert dict(grown[:5]) == dict.fromkeys(
        ["cache files", "cache bytes", "scratch files", "processes", "mounts"], "0"
    )
    _assert_nothing_left(process.pid)


@pytest.mark.root
@pytest.mark.userns
@pytest.mark.slow
def test_an_interrupted_comparison_leaves_nothing() -> None:
    process = _start("--row", "small-plain-true-*", "--repeat", "1000", "--only", "rootrun")
    home = f"{PREFIX}{process.pid}"
    while process.poll() is None and not list(public_parent().glob(f"{home}-bench-*/home/w*")):
        os.sched_yield()
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, stderr
    _assert_nothing_left(process.pid)


def test_what_is_not_installed_is_the_reason() -> None:
    contender = Contender("c", ("sh", "no-such-program", "nor-this"))
    assert contender.why_not() == "no-such-program and nor-this is not installed"
    assert Contender("c", ("sh",)).why_not() == ""


def test_a_run_counts_if_its_image_has_what_the_script_makes(tmp_path: Path) -> None:
    image = docker_archive(tmp_path / "i.tar", [tarball(file("a")), tarball(file("./d/b"))])
    assert fault(_run(), image, makes="") == ""
    assert fault(_run(), image, makes="d/b") == ""
    assert fault(_run(), image, makes="a") == "a is not in the layer"
    (tmp_path / "torn.tar").write_bytes(image.read_bytes()[:1000])
    assert fault(_run(), tmp_path / "torn.tar", makes="").startswith("no image: ")
    assert fault(_run(), tmp_path / "none.tar", makes="").startswith("no image: ")


def test_the_reason_of_a_failure_is_its_last_word_but_hints() -> None:
    said = "first\nrootrun: error: what\nrootrun: hint: do this\n"
    assert fault(_run(125, said), Path("none"), makes="") == "status 125: rootrun: error: what"


def test_rows_are_chosen_by_patterns() -> None:
    names = [case.name for case in chosen_cases(["large-*-true-cold", "small-gzip-big-warm"])]
    assert sorted(names) == [
        "large-gzip-true-cold",
        "large-plain-true-cold",
        "large-zstd-true-cold",
        "small-gzip-big-warm",
    ]
    assert len(names) < len(chosen_cases([])) < len(ALL_CASES)
    with pytest.raises(SystemExit, match="no row matches x"):
        chosen_cases(["x"])
