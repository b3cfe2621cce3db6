"""Hashes of store paths in files, wherever they are."""

import os
import re
from pathlib import Path
from random import Random

import pytest

from rootrun.compose.references.scan import HASH_BYTES, HASH_DIGITS, Scanner

_CHUNK_BYTES = 1 << 20
_ONE = b"0123456789abcdfghijklmnpqrsvwxyz"
_OTHER = b"z" * HASH_BYTES


def _found(content: bytes, *wanted: bytes) -> set[bytes]:
    scanner = Scanner(wanted or (_ONE, _OTHER))
    scanner.look_at(content)
    return scanner.found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", set()),
        (_ONE, {_ONE}),
        (b"/nix/store/" + _ONE + b"-name/bin", {_ONE}),
        (b"0" + _ONE + b"0", {_ONE}),
        (_ONE + _OTHER, {_ONE, _OTHER}),
        (_ONE[:-1], set()),
        (_ONE[:-1] + b" z", set()),
        (_ONE[:16] + b"e" + _ONE[16:], set()),
        (_ONE.upper(), set()),
        (b"\0\xff" + _OTHER + b"\0", {_OTHER}),
        (b"z" * 31 + b"\n" + _ONE[:31] + b"\n" + _OTHER, {_OTHER}),
    ],
)
def test_whole_hashes_are_found(content: bytes, found: set[bytes]) -> None:
    assert _found(content) == found


def test_of_many_hashes_those_are_found_that_a_regular_expression_finds() -> None:
    """The oracle is slow, and takes overlapping ones too."""
    random = Random(7)
    alphabet = HASH_DIGITS[:3] + b" "
    content = bytes(random.choices(alphabet, [40, 40, 40, 1], k=20_000))
    windows = {content[start : start + HASH_BYTES] for start in range(0, len(content) - 32, 50)}
    wanted = windows | {bytes(random.choices(alphabet[:3], k=HASH_BYTES)) for _ in range(50)}
    digits = re.compile(rb"(?=([%b]{32}))" % HASH_DIGITS)
    expected = {match[1] for match in digits.finditer(content)} & wanted
    assert len(expected) > 50
    assert _found(content, *wanted) == expected


@pytest.mark.parametrize("before", range(_CHUNK_BYTES - HASH_BYTES - 1, _CHUNK_BYTES + 2, 3))
def test_hash_is_found_across_the_end_of_what_is_read_at_once(before: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b" " * before + _ONE + b" ")
    scanner = Scanner([_ONE])
    directory_fd = os.open(tmp_path, os.O_RDONLY)
    try:
        scanner.look_into("file", directory_fd)
    finally:
        os.close(directory_fd)
    assert scanner.found == {_ONE}
    assert scanner.is_done


def test_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(_ONE)
    (tmp_path / "link").symlink_to("file")
    directory_fd = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="symbolic links"):
            Scanner([_ONE]).look_into("link", directory_fd)
    finally:
        os.close(directory_fd)
