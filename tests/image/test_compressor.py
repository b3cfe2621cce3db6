"""What is compressed: bytes that depend on the content alone, which peers read."""

import gzip
import os
import random
import subprocess
import time
import zlib
from pathlib import Path

import pytest

from rootrun.errors import UsageError
from rootrun.image.compression import Compression
from rootrun.image.compressor import compressor_version, open_compressor
from tests.support.program import run_python
from tests.support.require import require_program

LINES = b"".join(b"line %d of a text that compresses\n" % n for n in range(20_000))
CONTENT = LINES * 12 + random.Random(1).randbytes(3 << 20) + bytes(1 << 20) + LINES[:12345]
KINDS = [Compression.GZIP, Compression.ZSTD]

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.value)


def compressed(
    content: bytes, kind: Compression, *, piece_bytes: int = 1 << 20, thread_count: int = 2
) -> bytes:
    """Return ``content``, given in pieces, as it is written."""
    with open_compressor(kind, thread_count=thread_count) as compressor:
        assert compressor is not None
        starts = range(0, len(content), piece_bytes)
        blob = b"".join(compressor.compress(content[at : at + piece_bytes]) for at in starts)
        return blob + compressor.flush()


def tasks() -> set[str]:
    return set(os.listdir("/proc/self/task"))


def assert_ended(threads: set[str]) -> None:
    """Assert that ``threads`` are told to end: join may be over before the kernel has ended one.

    (Python 3.13 waits for that too.) One that was not told would wait for ever.
    """
    deadline_s = time.monotonic() + 30
    while tasks() & threads:
        assert time.monotonic() < deadline_s, "a thread goes on"
        os.sched_yield()


@kinds
def test_bytes_do_not_depend_on_the_number_of_threads(kind: Compression) -> None:
    blobs = {compressed(CONTENT, kind, thread_count=count) for count in (0, 1, 2, 8)}
    assert len(blobs) == 1


@kinds
def test_bytes_do_not_depend_on_the_pieces(kind: Compression) -> None:
    sizes = (1 << 10, 100_003, 1 << 18, 1 << 21, len(CONTENT))
    blobs = {compressed(CONTENT, kind, piece_bytes=size) for size in sizes}
    assert len(blobs) == 1


def test_bytes_do_not_depend_on_the_processors_that_the_program_may_use() -> None:
    usable = os.sched_getaffinity(0)
    blobs = []
    try:
        for processors in (usable, {min(usable)}):
            os.sched_setaffinity(0, processors)
            with open_compressor(Compression.GZIP) as compressor:
                assert compressor is not None
                blobs.append(compressor.compress(CONTENT) + compressor.flush())
    finally:
        os.sched_setaffinity(0, usable)
    assert blobs[0] == blobs[1]


@kinds
@pytest.mark.parametrize(
    "size", [0, 1, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 1 << 21, (1 << 21) + 1, len(CONTENT)]
)
def test_the_programs_of_the_formats_read_it(kind: Compression, size: int) -> None:
    require_program(kind.value)
    blob = compressed(CONTENT[:size], kind)
    done = subprocess.run([kind.value, "-dc"], input=blob, capture_output=True, check=True)
    assert done.stdout == CONTENT[:size]
    subprocess.run([kind.value, "-tq"], input=blob, check=True)


def test_gzip_is_one_member() -> None:
    blob = compressed(CONTENT, Compression.GZIP)
    decoder = zlib.decompressobj(31)
    assert decoder.decompress(blob) == CONTENT
    assert decoder.eof
    assert decoder.unused_data == b""
    assert gzip.decompress(blob) == CONTENT


def test_gzip_header_has_no_name_and_no_time() -> None:
    assert compressed(CONTENT, Compression.GZIP)[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\x03"


def test_blocks_of_gzip_know_what_was_before_them() -> None:
    noise = os.urandom(30_000)  # repeats at a distance that only the window of a block before has
    blob = compressed(noise * 40, Compression.GZIP)
    assert len(blob) < 2 * len(noise)


@kinds
def test_threads_are_gone_when_the_context_ends(kind: Compression) -> None:
    before = tasks()
    with open_compressor(kind, thread_count=3) as compressor:
        assert compressor is not None
        compressor.compress(CONTENT)
        started = tasks() - before
        assert len(started) == 3
    assert_ended(started)


@kinds
def test_threads_are_gone_after_a_failure(kind: Compression) -> None:
    before = tasks()
    started = set()
    with pytest.raises(ZeroDivisionError), open_compressor(kind, thread_count=3) as compressor:  # noqa: PT012
        assert compressor is not None
        compressor.compress(CONTENT)
        started = tasks() - before
        raise ZeroDivisionError
    assert len(started) == 3
    assert_ended(started)


@kinds
def test_what_fits_a_block_starts_no_thread(kind: Compression) -> None:
    before = tasks()
    with open_compressor(kind, thread_count=3) as compressor:
        assert compressor is not None
        blob = compressor.compress(CONTENT[: 1 << 18]) + compressor.flush()
        assert not tasks() - before
    assert blob == compressed(CONTENT[: 1 << 18], kind, thread_count=0)


def test_threads_take_no_signal() -> None:
    before = tasks()
    with open_compressor(Compression.GZIP, thread_count=2) as compressor:
        assert compressor is not None
        compressor.compress(CONTENT)
        started = tasks() - before
        for task in started:
            status = Path("/proc/self/task", task, "status").read_text()
            blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
            assert blocked >> 14 & 1, "SIGTERM is taken by a thread that cannot answer it"
    assert len(started) == 2


_MEASURED = """
from pathlib import Path
from rootrun.image.compression import Compression
from rootrun.image.compressor import open_compressor

pieces = [bytes([n]) * 999 + bytes(range(256)) * 4096 for n in range(32)]
with open_compressor(Compression({kind!r}), thread_count=64) as compressor:
    for n in range(300):
        compressor.compress(pieces[n % 32])
    compressor.flush()
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


@kinds
def test_memory_is_flat(kind: Compression) -> None:
    done = run_python(_MEASURED.format(kind=kind.value))
    assert int(done.stdout) < (32 + 100) << 10, done.stderr  # the pieces are 32 MiB


_WITHOUT_THREADS = """
import os, resource, sys
from rootrun.image.compression import Compression
from rootrun.image.compressor import open_compressor

resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
if os.geteuid() == 0:
    os.setuid(54321)  # for root there is no limit
content = sys.stdin.buffer.read()
with open_compressor(Compression({kind!r}), thread_count=4) as compressor:
    blob = compressor.compress(content)
    assert len(os.listdir("/proc/self/task")) == 1
    sys.stdout.buffer.write(blob + compressor.flush())
"""


@kinds
def test_where_no_thread_can_be_had_the_bytes_are_the_same(kind: Compression) -> None:
    done = run_python(_WITHOUT_THREADS.format(kind=kind.value), stdin=CONTENT)
    assert done.stdout == compressed(CONTENT, kind), done.stderr


def test_version_tells_what_the_bytes_belong_to() -> None:
    assert compressor_version(Compression.NONE) == ""
    assert zlib.ZLIB_RUNTIME_VERSION in compressor_version(Compression.GZIP)
    assert compressor_version(Compression.ZSTD).startswith("zstd 1.")


@pytest.mark.parametrize("kind", [Compression.BZIP2, Compression.XZ], ids=lambda k: k.value)
def test_what_is_only_read_is_not_written(kind: Compression) -> None:
    with (
        pytest.raises(UsageError, match=f"compress layer: {kind.value}"),
        open_compressor(kind),
    ):
        pass
