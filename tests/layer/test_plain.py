"""The fast way through a header sees what the thorough one sees, or leaves it to that."""

import random

import pytest

from rootrun.errors import LayerError
from rootrun.layer.entry import Entry
from rootrun.layer.header import is_checksum_right
from rootrun.layer.names import clean_name, entry_path
from rootrun.layer.plain import PlainHeaders
from rootrun.layer.tar_reader import TarReader
from tests.support.tarball import directory, file, hardlink, symlink, tarball

_MUTANTS = 20_000
# Offset and width of the fields of a header.
_FIELDS = [
    (0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (148, 8), (156, 1),
    (157, 100), (257, 8), (345, 155), (500, 12), (508, 4),
]  # fmt: skip
_VALUES = [
    b"0000644\0", b"     17 ", b"\x80\0\0\0\0\0\1\0", b"\xff" * 12, bytes(12), b"77777777777\0",
    b"9", b"-1", b"ustar\x0000", b"ustar  \0", b"tar\0", b"./a//b", b"../x", b"/a/.b", b"a/", b".",
    b"\xe4/\xff", b"x" * 100, b"1", b"2", b"5", b"0", b"3", b"7",
]  # fmt: skip


class _NothingPlain(PlainHeaders):
    def entry(self, block: bytes) -> None:
        """Leave every header to the others."""


class _Thorough(TarReader):
    """Reads every header the long way."""

    def __init__(self, block: bytes) -> None:
        super().__init__(_Once(block))
        self._plain = _NothingPlain()


class _Once:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int, /) -> bytes:
        taken, self._content = self._content[:size], self._content[size:]
        return taken


def _seen(block: bytes, *, is_thorough: bool) -> Entry | str | None:
    reader = _Thorough(block) if is_thorough else TarReader(_Once(block))
    try:
        return next(iter(reader), None)
    except LayerError as error:
        return f"{type(error).__name__}: {error}"


def _summed(block: bytes) -> bytes:
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def _mutants() -> list[bytes]:
    dice = random.Random(7)
    seeds = [tarball(member)[:512] for member in (
        file("./etc/f", b"x" * 9, 0o4755, uid=3, mtime=1 << 30), directory("d/"),
        symlink("l", "/t"), hardlink("h", "./etc/f"), file("p" * 90 + "/" + "n" * 90),
    )]  # fmt: skip
    found = []
    for _ in range(_MUTANTS):
        block = dice.choice(seeds)
        for _ in range(dice.choice((1, 1, 2, 3))):
            offset, width = dice.choice(_FIELDS)
            value = dice.choice(_VALUES)[:width]
            block = block[:offset] + value + block[offset + len(value) :]
        found.append(_summed(block) if dice.random() < 0.9 else block)
    return found


def test_headers_changed_at_random_are_read_alike_both_ways() -> None:
    mutants = _mutants()
    plain = PlainHeaders()
    fast = 0
    for block in mutants:
        seen = _seen(block, is_thorough=True)
        assert _seen(block, is_thorough=False) == seen
        if isinstance(seen, Entry) and plain.entry(block) is not None:
            fast += 1
    assert fast > _MUTANTS // 10


@pytest.mark.parametrize("byte", [0, 1, 0x7F, 0x80, 0xFF])
def test_the_sum_of_any_header_is_right(byte: int) -> None:
    """130560 is the greatest sum of all; modulo 65521 some of them would be taken for others."""
    block = _summed(bytes([byte]) * 512)
    assert is_checksum_right(block)
    for wrong in (1, 65521, 65536):
        number = sum(block[:148] + b" " * 8 + block[156:]) - wrong
        if number >= 0:
            assert not is_checksum_right(block[:148] + b"%06o\0 " % number + block[156:])


@pytest.mark.parametrize(
    "name",
    [b"a", b"./a", b"./a/", b"a/b/", b"a/.b", b".a", b"/a", b"a//b", b"././a", b"./", b"a/."],
)
def test_names_are_cleaned_alike(name: bytes) -> None:
    assert entry_path(name) == clean_name(name)
