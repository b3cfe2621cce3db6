"""A cache without room: told before anything is unpacked, with what it takes to go on."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tarball import file, tarball
from tests.support.workplace import Workplace, busybox_layer

pytestmark = [pytest.mark.userns, pytest.mark.root]

_FREE_MIB = 6
_BIG = bytes(8 << 20)


@pytest.fixture
def small_cache(root_workplace: Workplace) -> Iterator[Path]:
    """A cache on a file system of 6 MiB."""
    cache = root_workplace.path / "cache"
    cache.mkdir()
    size = f"size={_FREE_MIB}M,mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", cache], check=True)
    try:
        yield cache
    finally:
        subprocess.run(["umount", cache], check=True)


def _run(place: Workplace) -> subprocess.CompletedProcess[bytes]:
    options = ("--cache-dir", "cache", "--tmpdir", ".", "-o", "o.tar")
    return place.run("--from", "base.tar", *options, "--", "/bin/true")


def test_a_base_that_does_not_fit_is_told_before_it_is_unpacked(
    root_workplace: Workplace, small_cache: Path
) -> None:
    root_workplace.base("base.tar", busybox_layer(), tarball(file("big", _BIG)))
    done = _run(root_workplace)
    assert done.returncode == 125
    told = re.search(
        r"^rootrun: error: unpack image: (\S+): needs about ([\d.]+) MiB, ([\d.]+) MiB are free$",
        done.stderr.decode(),
        re.M,
    )
    assert told, done.stderr.decode()
    assert told[1] == str(small_cache)
    assert float(told[2]) > float(told[3])
    assert not list(small_cache.glob("layers-2/*/*"))
    assert not (root_workplace.path / "o.tar").exists()


@pytest.mark.usefixtures("small_cache")
def test_layers_in_the_cache_need_no_more_room(root_workplace: Workplace) -> None:
    layers = [busybox_layer(), *(tarball(file(f"f{n}", bytes([n]) * (1 << 20))) for n in range(3))]
    for count in (2, 3, 4):
        root_workplace.base("base.tar", *layers[:count])
        done = _run(root_workplace)
        assert done.returncode == 0, done.stderr.decode()
