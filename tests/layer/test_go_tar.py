"""What Go's archive/tar accepts and rootrun too, both read alike: docker reads layers with it.

The archives are those of Go's own tests, and others with a few fields, blocks and records
changed at random, from a fixed seed. To refuse what the other reads is fine; to see another
file in it is not.
"""

import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rootrun.errors import LayerError
from rootrun.layer.entry import DEVICE_TYPES, Entry, EntryType
from rootrun.layer.plain import LATEST_S
from rootrun.layer.tar_reader import TarReader
from tests.support.compiled import compile_go
from tests.support.require import require, require_program
from tests.support.tarball import device, directory, fifo, file, hardlink, symlink, tarball

pytestmark = pytest.mark.peers

_MUTANTS = 2000
_LARGEST_READ = 1 << 26  # as in the program
_EMPTY = hashlib.sha256().hexdigest()
_FILE_FLAGS = "0\0" + "7S"
_NO_ENTRIES = "gVNI"

# Offset and width of each field of a header, the maps of sparse files too.
_FIELDS = [
    (0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100),
    (257, 8), (329, 8), (337, 8), (345, 155), (386, 96), (482, 1), (483, 12), (500, 12),
]  # fmt: skip
_NUMBERS = [
    b"0000010", b"       5", b"\x80\0\0\0\0\0\0\7", b"\xff" * 8, b"7777777\0", bytes(8),
    b"-1     ", b"1 2\0", b"0x10\0", b"00000000000\0", b"00000001750", b"9\0",
]  # fmt: skip
_MAGICS = [b"ustar\x0000", b"ustar  \0", bytes(8)]
_FLAGS = [bytes([flag]) for flag in b"01234567LKxgSDVNI\0"]


class Seen(NamedTuple):
    """An entry as a reader has it, in words that both share."""

    path: str
    type: str
    mode: int
    owner: tuple[int, int]
    mtime_s: int
    link_target: str
    rdev: tuple[int, int]
    size_bytes: int
    content: str
    xattrs: dict[str, bytes]


@pytest.fixture(scope="module")
def go_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("go") / "archives"
    compile_go(Path(__file__).with_name("archives.go"), program)
    return program


@pytest.fixture(scope="module")
def corpus() -> list[bytes]:
    """The archives of Go's own tests that are not large."""
    root = subprocess.run(
        [require_program("go"), "env", "GOROOT"], capture_output=True, text=True, check=True
    )
    folder = Path(root.stdout.strip(), "src/archive/tar/testdata")
    require(folder.is_dir(), "the sources of Go's library are not installed")
    paths = [path for path in sorted(folder.glob("*.tar")) if path.stat().st_size < 40_000]
    return [path.read_bytes() for path in paths]


def _own_archives() -> Iterator[bytes]:
    for tar_format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        yield tarball(
            directory("d", 0o1755, uid=1, gid=2, mtime=3), file("d/f", b"x" * 1000, 0o4711),
            symlink("l", "/t"), hardlink("h", "./d/f"), device("n", 8, 9, kind="block"),
            fifo("p"), tar_format=tar_format,
        )  # fmt: skip
        if tar_format != tarfile.USTAR_FORMAT:
            long = [file("n" * 200, b"y" * 600), symlink("q", "z" * 300), file("b", b"1")]
            yield tarball(*long, tar_format=tar_format)
    yield tarball(
        file("f", b"abc", xattrs={"user.a": b"\xff\0"}),
        file("g", b"hello", pax={"mtime": "1.5", "uid": "77", "comment": "x"}),
    )


def _mutant(archive: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.choice((1, 1, 2, 3))):
        at = 512 * dice.randrange(max(1, min(len(archive) // 512, 12)))
        archive = _changed(archive, at, dice)
        if dice.random() < 0.9:
            archive = _summed(archive, at)
    return archive


def _changed(archive: bytes, at: int, dice: random.Random) -> bytes:
    block, rest = archive[at : at + 512], archive[at + 512 :]
    way = dice.random()
    if way < 0.55:
        offset, width = dice.choice(_FIELDS)
        letters = bytes(dice.choices(b"01234567LKxgSDVMN5/ \0.", k=width))
        wanted = {156: _FLAGS, 257: _MAGICS}.get(offset, [*_NUMBERS, *[letters] * 8])
        value = dice.choice(wanted)[:width]
        return archive[:at] + block[:offset] + value + block[offset + len(value) :] + rest
    if way < 0.7:
        return archive[:at] + block + archive[at:]
    if way < 0.8:
        return archive[:at] + rest
    if way < 0.95:
        changed = bytearray(archive)
        for place in range(at, min(at + 60, len(archive)), dice.randrange(7, 60)):
            changed[place] = dice.choice(b"0123456789=\n \0apthlinkGNU.sreizemajo")
        return bytes(changed)
    return archive[: dice.randrange(len(archive) + 1)]


def _summed(archive: bytes, at: int) -> bytes:
    """Return ``archive`` with the right checksum in the block at ``at``."""
    block = archive[at : at + 148] + b" " * 8 + archive[at + 156 : at + 512]
    if len(block) < 512:
        return archive
    return archive[: at + 148] + b"%06o\0 " % sum(block) + archive[at + 156 :]


def _seen_by_us(archive: bytes) -> list[Seen] | None:
    """Return the entries, None if they are refused."""
    reader = TarReader(io.BytesIO(archive))
    try:
        return [_of_entry(entry, reader) for entry in reader]
    except LayerError:
        return None


def _of_entry(entry: Entry, reader: TarReader) -> Seen:
    size_bytes = entry.size_bytes if entry.size_bytes < _LARGEST_READ else 0
    content = hashlib.sha256(reader.read(size_bytes)).hexdigest()
    owner = (entry.uid, entry.gid)
    return Seen(entry.path, entry.type.name, entry.mode, owner, entry.mtime_s, entry.link_target,
                entry.rdev, size_bytes, content, dict(entry.xattrs))  # fmt: skip


def _seen_by_go(line: str) -> list[Seen] | None:
    found = json.loads(line)
    if found["Error"]:
        return None
    return [_of_go(entry) for entry in found["Entries"] or [] if entry["Type"] not in _NO_ENTRIES]


def _of_go(found: dict[str, object]) -> Seen:
    flag = str(found["Type"])
    kind = EntryType.FILE if flag in _FILE_FLAGS else EntryType(flag.encode().replace(b"D", b"5"))
    name, link = (os.fsdecode(bytes.fromhex(str(found[key]))) for key in ("Name", "Link"))
    links = {EntryType.HARDLINK: _clean(link), EntryType.SYMLINK: link}
    numbers = {key: value for key, value in found.items() if isinstance(value, int)}
    is_file = kind is EntryType.FILE
    xattrs = found["Xattrs"]
    assert isinstance(xattrs, dict)
    return Seen(
        path=_clean(name),
        type=kind.name,
        mode=numbers["Mode"] & 0o7777,
        owner=(numbers["Uid"] % (1 << 32), numbers["Gid"] % (1 << 32)),
        mtime_s=min(max(numbers["Mtime"], 0), LATEST_S),
        link_target=links.get(kind, ""),
        rdev=(numbers["Major"], numbers["Minor"]) if kind in DEVICE_TYPES else (0, 0),
        size_bytes=numbers["Size"] if is_file else 0,
        content=str(found["Content"]) if is_file else _EMPTY,
        xattrs={os.fsdecode(bytes.fromhex(k)): bytes.fromhex(v) for k, v in xattrs.items()},
    )


def _clean(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _by_go(program: Path, archives: list[bytes], folder: Path) -> list[list[Seen] | None]:
    paths = [folder / str(number) for number in range(len(archives))]
    for path, archive in zip(paths, archives, strict=True):
        path.write_bytes(archive)
    done = subprocess.run([program, *paths], capture_output=True, text=True, check=True)
    return [_seen_by_go(line) for line in done.stdout.splitlines()]


def test_archives_of_go_s_own_tests_are_read_alike(
    go_reader: Path, corpus: list[bytes], tmp_path: Path
) -> None:
    found = _by_go(go_reader, corpus, tmp_path)
    read = [(ours, theirs) for ours, theirs in zip(map(_seen_by_us, corpus), found, strict=True)
            if ours is not None and theirs is not None]  # fmt: skip
    assert len(read) > 20
    assert [ours for ours, _ in read] == [theirs for _, theirs in read]
    # What is refused beyond Go: a header without a file, and a size of a hundred digits.
    assert sum(theirs is not None for theirs in found) - len(read) <= 2


def test_archives_changed_at_random_are_read_alike_or_refused(
    go_reader: Path, corpus: list[bytes], tmp_path: Path
) -> None:
    dice = random.Random(1)
    seeds = [*corpus, *_own_archives()]
    mutants = [_mutant(dice.choice(seeds), dice) for _ in range(_MUTANTS)]
    both = 0
    for mutant, theirs in zip(mutants, _by_go(go_reader, mutants, tmp_path), strict=True):
        started = time.process_time()
        ours = _seen_by_us(mutant)
        assert time.process_time() - started < 1
        if ours is not None and theirs is not None:
            both += 1
            assert ours == theirs
    assert both > _MUTANTS // 4
