"""How the base gets into the output: beside the script, to the disk too, and read once at most."""

import os

import pytest

from tests.support.big_image import write_big_archive
from tests.support.traced import bytes_read, traced_run
from tests.support.workplace import Workplace, busybox_layer

pytestmark = [pytest.mark.userns, pytest.mark.root]

SIZE_BYTES = 40 << 20


@pytest.fixture
def big_base(root_workplace: Workplace) -> Workplace:
    """A workplace with a base of 40 MiB, cached in ``c`` and known to be right."""
    base = write_big_archive(
        root_workplace.path / "base.tar",
        busybox_layer(),
        big_file="big",
        size_bytes=SIZE_BYTES,
        packing="plain",
    )
    os.utime(base, (base.stat().st_mtime - 60,) * 2)
    done = root_workplace.run(*_argv("first.tar"))
    assert done.returncode == 0, done.stderr.decode()
    return root_workplace


def _argv(output: str, base: str = "base.tar") -> list[str]:
    image = ("--from", base, "--cache-dir", "c", "-o", output)
    return [*image, "--", "touch", "/x"]


@pytest.mark.parametrize("output", ["o.tar", "oci-archive:a.tar", "oci:layout"])
def test_who_copies_the_base_brings_it_to_the_disk(output: str, big_base: Workplace) -> None:
    calls = traced_run(_argv(output), "fsync,copy_file_range,rename,fadvise64", cwd=big_base.path)
    names = [(pid, name) for pid, name, _, _ in calls]
    copier = next(
        pid for pid, name, _, count in calls if name == "copy_file_range" and count > 1 << 20
    )
    renames = [n for n, call in enumerate(calls) if call[1] == "rename" and "verif" not in call[2]]
    committer = calls[renames[-1]][0]
    assert copier != committer
    assert (copier, "fadvise64") in names  # the disk begins while there is more to copy
    last_copy = max(n for n, name in enumerate(names) if name == (copier, "copy_file_range"))
    assert (copier, "fsync") in names[last_copy:]
    # That of all of it, before it gets its name, is still the main process's.
    assert (committer, "fsync") in names[last_copy : renames[-1]]


def test_what_only_passes_to_stdout_is_not_brought_to_the_disk(big_base: Workplace) -> None:
    calls = traced_run(_argv("-"), "fsync,copy_file_range,fadvise64", cwd=big_base.path)
    assert {name for _, name, _, _ in calls} == {"copy_file_range"}


READS = "read,pread64,preadv,preadv2,readv,copy_file_range,sendfile,splice,mmap"


def test_a_warm_run_reads_of_a_known_base_no_layer(big_base: Workplace) -> None:
    base = big_base.path / "base.tar"
    for output in ("o.tar", "oci-archive:a.tar", "oci:layout"):
        calls = traced_run(_argv(output), READS, cwd=big_base.path)
        assert 0 < bytes_read(calls, base) < 64 << 10
        assert not any(name == "mmap" and f"<{base}>" in text for _, name, text, _ in calls)
        copied = sum(n for _, name, text, n in calls if name == "copy_file_range")
        assert copied == pytest.approx(base.stat().st_size, rel=0.01)


def test_a_warm_run_from_layout_to_layout_neither_reads_nor_copies_a_blob(
    big_base: Workplace,
) -> None:
    made = big_base.run(*_argv("oci:one"))
    assert made.returncode == 0, made.stderr.decode()
    blobs = big_base.path / "one" / "blobs" / "sha256"
    big = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    assert big.stat().st_size > SIZE_BYTES
    for blob in blobs.iterdir():
        os.utime(blob, (blob.stat().st_mtime - 60,) * 2)
    first = big_base.run(*_argv("oci:two", "oci:one"))
    assert first.returncode == 0, first.stderr.decode()
    calls = traced_run(_argv("oci:three", "oci:one"), READS, cwd=big_base.path)
    assert bytes_read(calls, big) < 64  # the magic number
    assert not any(name == "copy_file_range" for _, name, _, _ in calls)
    assert big.samefile(big_base.path / "three" / "blobs" / "sha256" / big.name)
