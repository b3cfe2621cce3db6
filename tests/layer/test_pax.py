"""Records of extended headers: whole ones, and those that attack the parser."""

import time

import pytest

from rootrun.errors import LayerError
from rootrun.layer import pax


def test_records_are_read() -> None:
    content = b"10 path=a\n" + b"30 mtime=1350244992.023960108\n" + b"9 x=a=b\n\n"
    assert pax.parse_records(content) == {
        b"path": b"a",
        b"mtime": b"1350244992.023960108",
        b"x": b"a=b\n",
    }


def test_last_record_of_a_key_wins() -> None:
    assert pax.parse_records(b"10 path=a\n10 path=b\n") == {b"path": b"b"}


def test_empty_record_takes_a_key_back() -> None:
    assert pax.parse_records(b"10 path=a\n8 path=\n") == {}


def test_empty_attribute_is_an_attribute() -> None:
    records = pax.parse_records(b"24 SCHILY.xattr.user.e=\n")
    assert pax.xattrs(records) == {"user.e": b""}


@pytest.mark.parametrize(
    "content",
    [
        b"0 path=a\n",
        b"1 ",
        b"-10 path=a\n",
        b"+10 path=a\n",
        b"1_0 path=a\n",
        b" 10 path=a\n",
        b"x path=a\n",
        b"9 path=ab\n",
        b"11 path=a\n",
        b"99999999 path=a\n",
        b"10 path=a",
        b"8 patha\n",
        b"5 =a\n",
        b"13 path=a\0bc\n",
        b"10 path=a\n\0\0\0",
        b"path=a\n",
        b"\xd9\xa1\xd9\xa0 path=a\n",
        b"33 GNU.sparse.numbytes=512\n",
        b"24 GNU.sparse.offset=0\n",
    ],
)
def test_record_that_is_not_whole_is_refused(content: bytes) -> None:
    with pytest.raises(LayerError, match="malformed extended header record"):
        pax.parse_records(content)


@pytest.mark.parametrize(
    "content",
    [b"0 " * 500_000, b"1" * pax.MAX_RECORDS_BYTES, b"4 a=" * 200_000, b" " * 1_000_000],
    ids=["zeros", "digits", "short", "spaces"],
)
def test_nonsense_of_full_size_ends_soon(content: bytes) -> None:
    started = time.process_time()
    with pytest.raises(LayerError):
        pax.parse_records(content)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("value", [b"", b"-", b"1.5", b"0x10", b"1e3", b" 1", b"9" * 5000, b"1_0"])
def test_integer_that_is_none_is_refused(value: bytes) -> None:
    with pytest.raises(LayerError, match="malformed"):
        pax.integer({b"size": value}, b"size")


def test_integer_beyond_64_bits_is_refused() -> None:
    assert pax.integer({b"size": b"%d" % (2**63 - 1)}, b"size") == 2**63 - 1
    with pytest.raises(LayerError, match="malformed"):
        pax.integer({b"size": b"%d" % 2**63}, b"size")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"5", 5), (b"5.", 5), (b"5.9", 5), (b"-5", -5), (b"-5.0", -5), (b"-5.01", -6), (b"-0.5", -1)],
)
def test_time_is_rounded_down(value: bytes, seconds: int) -> None:
    assert pax.seconds({b"mtime": value}, b"mtime") == seconds


@pytest.mark.parametrize("value", [b"nan", b"inf", b"1e9", b".5", b"1.2.3", b"9" * 100])
def test_time_that_is_none_is_refused(value: bytes) -> None:
    with pytest.raises(LayerError, match="malformed"):
        pax.seconds({b"mtime": value}, b"mtime")


@pytest.mark.parametrize("length", [*range(85, 105), *range(985, 1005), 9990])
def test_length_of_a_record_counts_itself(length: int) -> None:
    records = [(b"path", b"p" * length)]
    assert pax.parse_records(pax.format_records(records)) == dict(records)


@pytest.mark.parametrize(
    "name", ["user.plain", "user.a=b", "user.50%", "user.%3D", "user.%25=", "user.caf\udcff"]
)
def test_name_of_an_attribute_survives(name: str) -> None:
    written = pax.format_records(pax.xattr_records({name: b"\xff\0=\n"}))
    assert pax.xattrs(pax.parse_records(written)) == {name: b"\xff\0=\n"}


def test_charset_is_told_only_where_it_is_needed() -> None:
    assert not pax.format_records([(b"path", "é".encode())]).startswith(b"21 hdrcharset")
    assert pax.format_records([(b"path", b"\xff")]).startswith(b"21 hdrcharset=BINARY\n")
