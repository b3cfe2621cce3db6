"""What is said of the usual suspects: files that differ in each run, and times in them."""

import struct
import time

import pytest

from rootrun.compose.suspects import remark_on_content, remark_on_path
from rootrun.layer.entry import EntryPath

NOW_S = int(time.time())


@pytest.mark.parametrize(
    ("path", "remark"),
    [
        ("var/cache/ldconfig/aux-cache", "ldconfig"),
        ("usr/lib/python3/x/__pycache__/y.cpython-311.pyc", "PYTHONDONTWRITEBYTECODE"),
        ("var/log/dpkg.log", "a log"),
        ("etc/shadow-", "SOURCE_DATE_EPOCH"),
        ("usr/share/doc/x/changelog.gz", "gzip -n"),
        ("srv/repository/.git/index", "git"),
    ],
)
def test_the_usual_suspects_are_explained(path: str, remark: str) -> None:
    assert remark in remark_on_path(EntryPath(path))


@pytest.mark.parametrize("path", ["usr/bin/x", "etc/groups.d/x", "x.gz/y", "x.pycache", "var/log"])
def test_other_paths_have_no_remark(path: str) -> None:
    assert remark_on_path(EntryPath(path)) == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"at %d.\n" % NOW_S, b"at %d.\n" % (NOW_S + 2)),
        (b"%d123456" % NOW_S, b"%d654321" % (NOW_S + 2)),
        (b"\0%o\0" % NOW_S, b"\0%o\0" % (NOW_S + 2)),
        (b"\x1f\x8b" + struct.pack("<I", NOW_S), b"\x1f\x8b" + struct.pack("<I", NOW_S + 1)),
        (b"x" + struct.pack(">Q", NOW_S), b"x" + struct.pack(">Q", NOW_S + 1)),
        (b"Mon 12:34:56 UTC", b"Mon 12:34:57 UTC"),
        (b"12:34", b"12:35"),
    ],
    ids=["decimal", "fractions", "octal", "binary", "binary, 64 bits", "seconds", "minutes"],
)
def test_a_time_in_a_file_is_said_to_be_one(one: bytes, other: bytes) -> None:
    assert remark_on_content(one, other).startswith("a time")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"pid 2345", b"pid 2346"),
        (b"12:34 a", b"12:34 b"),
        (b"%d a" % NOW_S, b"%d b" % NOW_S),
        (b"1234567890", b"1234567891"),
        (b"ab:12:34:cd", b"ab:12:35:cd"),
        (b"", b"x"),
    ],
    ids=["a number", "a clock alike", "a time alike", "not of today", "a fingerprint", "nothing"],
)
def test_what_is_no_time_has_no_remark(one: bytes, other: bytes) -> None:
    assert remark_on_content(one, other) == ""
