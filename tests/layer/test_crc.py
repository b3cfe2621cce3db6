"""The CRC of contents is that of zlib, whichever library makes it."""

from tests.support.program import run_python

_SOURCE = """
import os, sys, zlib
from rootrun.layer.crc import crc32

small, large = os.urandom(700), os.urandom(9 << 20)
assert crc32(small, 7) == zlib.crc32(small, 7)
assert crc32(large[:5000], 7) == zlib.crc32(large[:5000], 7)
print("isal" in sys.modules)
assert crc32(memoryview(large), 7) == crc32(large, 7) == zlib.crc32(large, 7)
print("isal" in sys.modules)
"""
_WITHOUT_ISAL = "import sys\nsys.modules['isal'] = None\n"


def test_isal_is_loaded_when_there_is_much_and_says_the_same() -> None:
    done = run_python(_SOURCE)
    assert done.stdout.split() == [b"False", b"True"], done.stderr.decode()


def test_without_isal_it_is_zlib() -> None:
    done = run_python(_WITHOUT_ISAL + _SOURCE)
    assert done.returncode == 0, done.stderr.decode()
