"""The cache is passed over with a word where it cannot be trusted or written; the run goes on."""

import os
from pathlib import Path

import pytest

from tests.support.program import installation, run_as
from tests.support.tarball import file, tarball
from tests.support.users import Account
from tests.support.workplace import Workplace, busybox_layer, top_layer

pytestmark = pytest.mark.userns


@pytest.fixture
def place(public_path: Path, lone: Account) -> Workplace:
    """A workplace of an account with one uid, with a base."""
    path = public_path / "place"
    path.mkdir()
    place = Workplace(path=path, account=lone)
    place.own(path)
    place.base("base.tar", busybox_layer(), tarball(file("x")))
    place.write("setup.sh", "echo > /made\n")
    return place


def run(place: Workplace, cache: Path) -> str:
    """Run with ``cache``, which must work, and return what was said."""
    done = place.run("--from", "base.tar", "--script", "setup.sh", "-o", "out.tar",
                     "--cache-dir", cache)  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert list(top_layer(place.path / "out.tar")) == ["made"]
    return done.stderr.decode()


def test_a_cache_is_made_used_and_keeps_no_scratch_tree(place: Workplace) -> None:
    cache = place.path / "cache"
    run(place, cache)
    trees = {path: path.stat().st_ctime_ns for path in (cache / "layers-2" / "single").iterdir()}
    assert len(trees) == 2
    assert "passing over" not in run(place, cache)
    assert {path: path.stat().st_ctime_ns for path in trees} == trees
    assert os.listdir(cache / "scratch") == []
    assert cache.stat().st_mode & 0o7777 == 0o700


def test_a_cache_of_somebody_else_is_passed_over(place: Workplace, public_path: Path) -> None:
    cache = public_path / "cache"
    cache.mkdir(mode=0o777)
    cache.chmod(0o777)
    assert "passing over the cache" in run(place, cache)
    assert os.listdir(cache) == []


@pytest.mark.root
def test_a_cache_on_a_read_only_file_system_is_passed_over(public_path: Path) -> None:
    place = Workplace(path=public_path, account=None)
    place.base()
    place.write("setup.sh", "echo > /made\n")
    run(place, public_path / "cache")
    program = installation() / "bin" / "rootrun"
    done = run_as(
        ["unshare", "--mount", "sh", "-ec", f"""
            mount --bind cache cache
            mount -o remount,bind,ro cache
            {program} --from base.tar --script setup.sh -o 2.tar --cache-dir cache
        """],
        cwd=public_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert b"passing over the cache" in done.stderr
    assert list(top_layer(public_path / "2.tar")) == ["made"]


def test_a_damaged_cache_is_mended_on_the_way(place: Workplace) -> None:
    cache = place.path / "cache"
    run(place, cache)
    for record in (cache / "layers-2" / "single").glob("*/record.json"):
        record.write_bytes(b"")
    assert run(place, cache).count("the cache is damaged, unpacking again") >= 2
    assert "damaged" not in run(place, cache)
