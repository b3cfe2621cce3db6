"""Compressed layers in the cache: what was compressed once is taken, and gives the same bytes."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns

# Some MB that compress a little, the same in each run; and what differs at the end of the layer.
LAYER = "i=0; while [ $i -lt 8 ]; do cat /bin/busybox >> /big; i=$((i+1)); done; echo {} > /last\n"

compressions = pytest.mark.parametrize("compression", ["gzip", "zstd"])


class Builds:
    """Runs with one cache, each of which makes a large layer."""

    def __init__(self, place: Workplace, compression: str) -> None:
        self.place = place
        self._compression = compression
        place.base("base.tar", busybox_layer())

    def run(self, *args: str, last: int = 1) -> tuple[bytes, int | None, int | None]:
        """Return the image, and how many of how many blocks were taken; None for no cache."""
        self.place.write("s.sh", LAYER.format(last))
        given = ("--from", "base.tar", "--script", "s.sh", "-o", "out.tar", "-v")
        options = ("--compression", self._compression, *self.place.options)
        done = self.place.run(*given, "--cache-dir", "cache", *options, *args)
        assert done.returncode == 0, done.stderr.decode()
        assert_image_valid(self.place.path / "out.tar")
        told = re.search(rb"took ([0-9]+) of ([0-9]+) blocks", done.stderr)
        taken = (int(told[1]), int(told[2])) if told else (None, None)
        return (self.place.path / "out.tar").read_bytes(), *taken

    @property
    def entry(self) -> Path:
        """The one compressed layer in the cache."""
        (entry,) = (self.place.path / "cache" / "compressed-1").iterdir()
        return entry

    def cache(self, action: str) -> tuple[int, list[dict[str, object]]]:
        """Look after the cache; return the status and what is told of compressed layers."""
        done = self.place.run("cache", action, "--json", "--cache-dir", "cache")
        return done.returncode, json.loads(done.stdout)["compressed"]


@compressions
def test_the_second_run_compresses_nothing_and_gives_the_same_bytes(
    compression: str, any_workplace: Workplace
) -> None:
    builds = Builds(any_workplace, compression)
    plain, *none = builds.run("--no-cache")
    assert none == [None, None]
    image, taken, count = builds.run()
    assert image == plain
    assert taken == 0
    assert count is not None
    assert count > 2
    made = os.stat(builds.entry / "blob")
    assert builds.run() == (plain, count, count)
    assert os.stat(builds.entry / "blob").st_ino == made.st_ino


@compressions
def test_a_layer_that_ends_otherwise_is_taken_up_to_there(
    compression: str, workplace: Workplace
) -> None:
    builds = Builds(workplace, compression)
    builds.run()
    image, taken, count = builds.run(last=2)
    assert image == builds.run("--no-cache", last=2)[0]
    assert taken == count - 1 if count else None
    assert builds.run(last=2) == (image, count, count)  # it has taken the other's place


@compressions
def test_a_damaged_block_is_not_used(compression: str, workplace: Workplace) -> None:
    builds = Builds(workplace, compression)
    image, _, count = builds.run()
    with (builds.entry / "blob").open("r+b") as blob:
        blob.seek(5000)
        blob.write(b"damaged")
    assert count is not None
    assert builds.run() == (image, count - 1, count)
    assert builds.run() == (image, count, count)  # and is replaced


def test_a_damaged_record_is_told_and_not_used(workplace: Workplace) -> None:
    builds = Builds(workplace, "gzip")
    image, _, count = builds.run()
    (builds.entry / "record.json").write_bytes(b"{}")
    assert builds.run() == (image, 0, count)
    assert builds.run() == (image, count, count)


def test_what_another_compressor_made_is_not_taken(workplace: Workplace) -> None:
    Builds(workplace, "gzip").run()
    assert Builds(workplace, "zstd").run()[1] == 0


def test_compressed_layers_are_listed_verified_and_pruned(any_workplace: Workplace) -> None:
    builds = Builds(any_workplace, "gzip")
    builds.run()
    status, (entry,) = builds.cache("list")
    assert status == 0
    image = assert_image_valid(any_workplace.path / "out.tar")
    assert entry["diffId"] == image.diff_ids[-1]
    assert entry["problem"] is None
    assert builds.cache("verify")[0] == 0
    with (builds.entry / "blob").open("r+b") as blob:
        blob.write(b"damaged")
    status, (entry,) = builds.cache("verify")
    assert status == 1
    assert entry["problem"] == "the blob is not as it was packed"
    builds.run()
    assert len(builds.cache("prune")[1]) == 1
    assert builds.cache("list")[1] == []


def test_a_small_layer_is_not_kept(workplace: Workplace) -> None:
    workplace.base("base.tar", busybox_layer())
    workplace.write("s.sh", "echo 1 > /x\n")
    given = ("--from", "base.tar", "--script", "s.sh", "-o", "out.tar", "--cache-dir", "cache")
    assert workplace.run(*given, "--compression", "gzip").returncode == 0
    assert not (workplace.path / "cache" / "compressed-1").exists()
