"""Memory stays flat, whatever the size of a layer."""

import shutil
from pathlib import Path

import pytest

from tests.support.program import run_python

_SIZE_BYTES = 300 << 20
_UNPACK = """
import io, os, resource
from rootrun.layer.apply import apply_layer
from rootrun.layer.entry import Entry, EntryType
from rootrun.layer.header import header_bytes
from rootrun.layer.tar_writer import TarWriter

class EveryId:
    def has_uid(self, number): return True
    has_gid = has_uid

class Stream:
    def __init__(self, pieces):
        self.pieces, self.rest = pieces, b""
    def read(self, size):
        self.rest = self.rest or next(self.pieces, b"")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

def pieces():
    {pieces}
    yield bytes(1024)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

os.mkdir("tree")
tree_fd = os.open("tree", os.O_RDONLY)
before = peak()
record = apply_layer(Stream(pieces()), tree_fd=tree_fd, ids=EveryId(), redirects={{}})
fd = os.open("tree/f", os.O_RDONLY)
TarWriter(len).add_file(
    Entry(path="f", type=EntryType.FILE, mode=0, size_bytes=os.fstat(fd).st_size), fd)
print(record.size_bytes, peak() - before)
"""
_ONE_FILE = """
    yield header_bytes(Entry(path="f", type=EntryType.FILE, mode=0o644, size_bytes=300 << 20))
    for _ in range(300):
        yield bytes(1 << 20)
"""
_MANY_FILES = """
    for number in range(60000):
        yield header_bytes(Entry(path=f"{number:099}", type=EntryType.FILE, mode=0o644))
    yield header_bytes(Entry(path="f", type=EntryType.FILE, mode=0o644))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pieces", "size_bytes"),
    [(_ONE_FILE, _SIZE_BYTES), (_MANY_FILES, 0)],
    ids=["one-great-file", "many-files"],
)
def test_memory_stays_flat(tmp_path: Path, pieces: str, size_bytes: int) -> None:
    result = run_python(_UNPACK.format(pieces=pieces.strip()), cwd=tmp_path)
    assert result.returncode == 0, result.stderr.decode()
    found_bytes, growth_kib = map(int, result.stdout.split())
    assert found_bytes == size_bytes
    assert growth_kib < 12 << 10
    shutil.rmtree(tmp_path / "tree")
