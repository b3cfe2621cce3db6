"""Layers that the cache lacks are unpacked side by side; all else is as one after the other."""

import fcntl
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.support.program import clean_environment, installation, run_as
from tests.support.require import require
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.traced import bytes_read, traced_run
from tests.support.workplace import Workplace, busybox_layer

pytestmark = [pytest.mark.userns, pytest.mark.root]

BIG = os.urandom(1 << 16) * 80  # 5 MiB: worth a process
LAYERS = [
    busybox_layer(file("big/0", BIG, uid=7)),
    tarball(directory("big/1"), file("big/1/f", BIG, mode=0o4755), symlink("lib", "big")),
    tarball(file("lib/2", BIG + BIG), file("small", b"x")),  # below a symlink of the one before
]
DAMAGED = tarball(file("big/0", BIG), file("d" * 200 + "/" + "\x01" * 200 + "/../../../x", b""))
STOP_LIMIT_S = 60


@pytest.fixture
def place(root_workplace: Workplace) -> Workplace:
    """A workplace with a base of three layers, on a machine with several cores."""
    require(len(os.sched_getaffinity(0)) > 1, "there is one core")
    base = root_workplace.base("base.tar", *LAYERS)
    os.utime(base, (base.stat().st_mtime - 60,) * 2)
    return root_workplace


def _argv(cache: str, output: str = "o.tar", base: str = "base.tar") -> list[str]:
    return ["--from", base, "--cache-dir", cache, "-o", output, "--", "touch", "/x"]


def _one_core() -> list[str]:
    return ["taskset", "-c", str(min(os.sched_getaffinity(0)))]


def _entries(cache: Path) -> list[Path]:
    """Return the layers in ``cache``, hidden ones too."""
    return sorted(path for kind in (cache / "layers-2").iterdir() for path in kind.iterdir())


def _makers(place: Workplace, cache: str, *before: str) -> list[int]:
    """Return which process began each entry of ``cache`` in a run."""
    calls = traced_run(_argv(cache, f"{cache}.tar"), "mkdir", cwd=place.path, before=before)
    return [call.pid for call in calls if call.arguments.endswith('.making", 0700')]


def test_each_layer_has_a_process_and_on_one_core_there_is_none(place: Workplace) -> None:
    several = _makers(place, "several")
    one = _makers(place, "one", *_one_core())
    # Three layers, and by the main process one of them again: below a symlink of another.
    assert len(several) == len(set(several)) == len(one) == 4
    assert len(set(one)) == 1
    assert (place.path / "several.tar").read_bytes() == (place.path / "one.tar").read_bytes()
    entries = [_entries(place.path / cache) for cache in ("several", "one")]
    assert [path.name for path in entries[0]] == [path.name for path in entries[1]]
    for many, single in zip(*entries, strict=True):
        assert (many / "record.json").read_bytes() == (single / "record.json").read_bytes()


def test_small_layers_are_not_worth_a_process(place: Workplace) -> None:
    place.base("small.tar", busybox_layer(), tarball(file("a", b"a")), tarball(file("b", b"b")))
    calls = traced_run(_argv("c", base="small.tar"), "mkdir", cwd=place.path)
    assert len({call.pid for call in calls if ".making" in call.arguments}) == 1


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_no_byte_of_the_base_is_read_twice(compression: str, place: Workplace) -> None:
    base = place.base("once.tar", *LAYERS[:2], tarball(file("2", BIG)), compression=compression)
    calls = traced_run(_argv("c", base="once.tar"), "read,pread64,preadv,preadv2", cwd=place.path)
    size_bytes = base.stat().st_size
    assert size_bytes * 0.9 < bytes_read(calls, base) < size_bytes + (64 << 10)


def test_the_time_of_each_layer_is_told_beside(place: Workplace) -> None:
    done = place.run("--json", "--timings", *_argv("c"))
    assert done.returncode == 0, done.stderr.decode()
    timings = json.loads(done.stdout)["timings"]
    names = {f"unpackLayer{position}" for position in (1, 2, 3)}
    assert timings["beside"].keys() == {*names, "baseCopy"}
    parts = [part["name"] for part in timings["parts"]["unpack"]]
    assert parts == ["side by side", *(f"layer {position} of 3" for position in (1, 2, 3))]


@pytest.mark.parametrize("good_first", [True, False])
def test_what_fails_is_told_as_it_is_on_one_core(good_first: bool, place: Workplace) -> None:
    more = tarball(file("more", BIG * 4))  # the largest: it is begun first, and ended with the run
    layers = [LAYERS[0], DAMAGED, DAMAGED.replace(b"big/0", b"big/9"), more]
    place.base("bad.tar", *(layers if good_first else layers[1:]))
    program = installation() / "bin" / "rootrun"
    told = []
    for cache, before in (("several", []), ("one", _one_core())):
        done = run_as([*before, program, *_argv(cache, base="bad.tar")], cwd=place.path)
        assert done.returncode == 125
        told.append(done.stderr)
        assert not [path for path in _entries(place.path / cache) if path.name.startswith(".")]
    assert told[0] == told[1]
    assert re.search(rb"error: unpack layer [12] of [34]: .*leaves the rootfs", told[0])
    assert len(told[0]) > 450  # whole, however long a name is
    assert not (place.path / "o.tar").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_children_end_with_the_run(number: signal.Signals, place: Workplace) -> None:
    ready = place.run(*_argv("c"))
    assert ready.returncode == 0, ready.stderr.decode()
    keys = [entry for entry in _entries(place.path / "c") if "." not in entry.name]
    for entry in keys:  # not trusted any more: all three are to be made again
        (entry / "made.json").write_text("{}")
    locks = [
        os.open(place.path / "c" / "locks" / f"{x.parent.name}.{x.name}", os.O_RDWR) for x in keys
    ]
    try:
        for lock in locks:
            fcntl.flock(lock, fcntl.LOCK_EX)  # so that the children wait
        _stop_with_children(place, number)
    finally:
        for lock in locks:
            os.close(lock)
    assert place.run(*_argv("c")).returncode == 0
    assert not [path for path in _entries(place.path / "c") if path.name.startswith(".")]


def _stop_with_children(place: Workplace, number: signal.Signals) -> None:
    """Start a run, send it ``number`` when it has children, and see them end."""
    with subprocess.Popen(
        [installation() / "bin" / "rootrun", *_argv("c")],
        cwd=place.path,
        env=clean_environment(None),
        stderr=subprocess.PIPE,
    ) as process:
        main = psutil.Process(process.pid)
        while len(children := main.children(recursive=True)) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=STOP_LIMIT_S)  # to the end of what they all hold
        assert psutil.wait_procs(children, timeout=STOP_LIMIT_S)[1] == []
    expected = {signal.SIGKILL: -9}.get(number, 128 + number)
    assert process.returncode in (expected, -number)


def test_runs_at_the_same_time_share_the_extractions(place: Workplace) -> None:
    program = os.fspath(installation() / "bin" / "rootrun")
    trace = ["strace", "-f", "-e", "trace=rename"]
    runs = [
        subprocess.Popen(
            [*trace, "-o", f"trace-{n}", program, *_argv("c", f"{n}.tar")],
            cwd=place.path,
            env=clean_environment(None),
            stderr=subprocess.PIPE,
        )
        for n in range(2)
    ]
    for run in runs:
        _, errors = run.communicate(timeout=STOP_LIMIT_S)
        assert run.returncode == 0, errors.decode()
    text = "".join((place.path / f"trace-{n}").read_text() for n in range(2))
    made = re.findall(r"rename\(\"[^\"]*/\.([0-9a-f.]+)\.making\"", text)
    assert sorted(made) == sorted(path.name for path in _entries(place.path / "c"))
