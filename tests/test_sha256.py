"""One SHA-256, whoever makes it."""

import hashlib
import random

import pytest

from rootrun.sha256 import Sha256, sha256_of
from tests.support.program import run_python

_EDGE = 1 << 19


@pytest.mark.parametrize("size", [0, 1, _EDGE - 1, _EDGE, _EDGE + 1, 3 * _EDGE])
def test_digits_are_those_of_hashlib(size: int) -> None:
    content = random.Random(size).randbytes(size)
    want = hashlib.sha256(content).hexdigest()
    assert sha256_of(content) == want
    pieces = Sha256()
    for start in range(0, size, 100_003):
        piece = bytearray(content[start : start + 100_003])
        pieces.update(memoryview(piece))
        piece[:] = bytes(len(piece))  # what was given may change
    assert pieces.hexdigest() == want


def test_digits_can_be_asked_for_in_between() -> None:
    growing = Sha256()
    for end in range(0, 5 * _EDGE, _EDGE // 2):
        assert growing.hexdigest() == hashlib.sha256(bytes(end)).hexdigest()
        growing.update(bytes(_EDGE // 2))


def test_small_content_loads_no_hashlib_and_large_does() -> None:
    show = "import sys; print('hashlib' in sys.modules)\n"
    source = f"""
from rootrun.sha256 import Sha256, sha256_of
sha256_of(bytes({_EDGE}))
hash = Sha256()
hash.update(bytes({_EDGE}))
hash.hexdigest()
{show}
hash.update(b"x")
{show}"""
    assert run_python(source).stdout.split() == [b"False", b"True"]
