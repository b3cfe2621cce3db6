"""How the base gets into the output: beside the script, to the disk too, and read once at most."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.big_image import write_big_archive
from tests.support.program import installation, run_as
from tests.support.require import require_program
from tests.support.workplace import Workplace, busybox_layer

pytestmark = [pytest.mark.userns, pytest.mark.root]

SIZE_BYTES = 40 << 20
_CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")


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


def _traced(
    place: Workplace, output: str, calls: str, *, base: str = "base.tar"
) -> list[tuple[int, str, str, int]]:
    """Run on ``base``; return process, name, arguments and result of ``calls`` in order."""
    trace = place.path / "trace"
    program = os.fspath(installation() / "bin" / "rootrun")
    strace = (os.fspath(require_program("strace")), "-f", "-y", "-o", os.fspath(trace))
    done = run_as([*strace, "-e", f"trace={calls}", program, *_argv(output, base)], cwd=place.path)
    assert done.returncode == 0, done.stderr.decode()
    found = map(_CALL.match, _joined(trace.read_text().splitlines()))
    return [(int(m[1]), m[2], m[3], int(m[4])) for m in found if m]


def _joined(lines: list[str]) -> Iterator[str]:
    """Put together what strace tells in two lines, because another process was busy as well."""
    begun: dict[str, str] = {}
    for line in lines:
        pid, _, text = line.partition(" ")
        if line.endswith(" <unfinished ...>"):
            begun[pid] = line.removesuffix(" <unfinished ...>")
        elif text.lstrip().startswith("<... "):
            yield begun.pop(pid, "") + text.partition(" resumed>")[2]
        else:
            yield line


@pytest.mark.parametrize("output", ["o.tar", "oci-archive:a.tar", "oci:layout"])
def test_who_copies_the_base_brings_it_to_the_disk(output: str, big_base: Workplace) -> None:
    calls = _traced(big_base, output, "fsync,copy_file_range,rename,fadvise64")
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
    calls = _traced(big_base, "-", "fsync,copy_file_range,fadvise64")
    assert {name for _, name, _, _ in calls} == {"copy_file_range"}


def _bytes_read(calls: list[tuple[int, str, str, int]], file: Path) -> int:
    """Return how much of ``file`` came into a process of ours."""
    names = {"read", "pread64", "preadv", "readv"}
    return sum(n for _, name, text, n in calls if name in names and f"<{file}>" in text)


READS = "read,pread64,preadv,readv,copy_file_range,sendfile,splice,mmap"


def test_a_warm_run_reads_of_a_known_base_no_layer(big_base: Workplace) -> None:
    base = big_base.path / "base.tar"
    for output in ("o.tar", "oci-archive:a.tar", "oci:layout"):
        calls = _traced(big_base, output, READS)
        assert 0 < _bytes_read(calls, base) < 64 << 10
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
    calls = _traced(big_base, "oci:three", READS, base="oci:one")
    assert _bytes_read(calls, big) < 64  # the magic number
    assert not any(name == "copy_file_range" for _, name, _, _ in calls)
    assert big.samefile(big_base.path / "three" / "blobs" / "sha256" / big.name)
