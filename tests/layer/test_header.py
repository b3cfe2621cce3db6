"""One header block: numbers, checksums and names of all dialects."""

import io
import tarfile

import pytest

from rootrun.dataclass import replace
from rootrun.errors import LayerError
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType
from rootrun.layer.header import header_bytes, parse_header, parse_number


def _block(**changes: bytes) -> bytes:
    """Return a ustar header with fields overwritten and the checksum made right."""
    block = bytearray(header_bytes(Entry(path=EntryPath("f"), type=EntryType.FILE, mode=0o644)))
    offsets = {"name": 0, "mode": 100, "uid": 108, "size": 124, "mtime": 136, "flag": 156,
               "link": 157, "magic": 257, "device": 329, "prefix": 345, "tail": 500}  # fmt: skip
    for field, value in changes.items():
        block[offsets[field] : offsets[field] + len(value)] = value
    return _summed(bytes(block))


def _summed(block: bytes) -> bytes:
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b"   644 \0", 0o644),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"        ", 0),
        (b"00000644", 0o644),
        (b"644\0junk", 0o644),
        (b"\0\x30\x36\x34\0\0\0\0", 0o64),
        (b"\x80\0\0\0\0\0\0\x07", 7),
        (b"\x80\0\0\0\xff\xff\xff\xff", 2**32 - 1),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", -1),
        (b"\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
    ],
)
def test_number_is_read(field: bytes, value: int) -> None:
    assert parse_number(field) == value


@pytest.mark.parametrize(
    "field", [b"0000x44\0", b"-000644\0", b"0o644\0\0\0", b"0_644\0\0\0", b"9\0\0\0"]
)
def test_junk_for_a_number_is_refused(field: bytes) -> None:
    with pytest.raises(LayerError, match="not an octal number"):
        parse_number(field)


def test_checksum_of_signed_chars_is_right_too() -> None:
    block = _block(name="n\u00e4me".encode("latin-1"))
    signed = block[:148] + b"%06o\0 " % (int(block[148:154], 8) - 256) + block[156:]
    assert parse_header(signed).name == b"n\xe4me"


def test_wrong_checksum_is_refused() -> None:
    block = _block()
    with pytest.raises(LayerError, match="checksum is wrong"):
        parse_header(b"g" + block[1:])


def test_prefix_counts_in_ustar_only() -> None:
    assert parse_header(_block(prefix=b"dir")).name == b"dir/f"
    times = b"14767130000\0" * 2
    assert parse_header(_block(prefix=times, magic=b"ustar  \0")).name == b"f"
    assert parse_header(_block(prefix=b"dir", magic=b"\0" * 8)).name == b"f"


def test_prefix_that_old_go_wrote_into_gnu_headers_counts() -> None:
    """docker of 2016 has such layers; Go tells the prefix by times that cannot be."""
    assert parse_header(_block(prefix=b"dir", magic=b"ustar  \0")).name == b"dir/f"
    after_a_time = b"00000000007\0" + b"dir"
    assert parse_header(_block(prefix=after_a_time, magic=b"ustar  \0")).name == b"00000000007/f"
    no_text = b"d\xffr"
    assert parse_header(_block(prefix=no_text, magic=b"ustar  \0")).name == b"f"


def test_times_in_the_prefix_of_star_are_no_name() -> None:
    block = bytearray(_block(prefix=b"dir"))
    block[476:488] = b"00000000001\0"
    block[508:512] = b"tar\0"
    assert parse_header(_summed(bytes(block))).name == b"dir/f"


def test_device_number_before_ustar_is_not_read() -> None:
    fields = {"flag": b"3", "device": b"0000001\0" * 2}
    assert parse_header(_block(**fields)).rdev == (1, 1)
    assert parse_header(_block(**fields, magic=bytes(8))).rdev == (0, 0)


def test_device_number_of_a_file_is_not_read() -> None:
    assert parse_header(_block(device=b"garbage!" * 2)).rdev == (0, 0)


def _written(entry: Entry) -> tarfile.TarInfo:
    """Return the entry as the standard library reads it."""
    with tarfile.open(fileobj=io.BytesIO(header_bytes(entry) + bytes(1024))) as tar:
        return tar.getmembers()[0]


@pytest.mark.parametrize("length", [99, 100, 101, 155, 156, 200, 255, 256, 257, 300, 4000])
@pytest.mark.parametrize("slashes", [0, 1, 7], ids=["flat", "one-slash", "many-slashes"])
@pytest.mark.parametrize("entry_type", [EntryType.FIFO, EntryType.DIRECTORY])
def test_name_of_any_length_is_written(length: int, slashes: int, entry_type: EntryType) -> None:
    step = length // (slashes + 1)
    path = "".join("/" if slashes and n % step == step - 1 else "n" for n in range(length))
    path = path.rstrip("/")
    entry = Entry(path=EntryPath(path), type=entry_type, mode=0o755)
    assert _written(entry).name == path


def test_ustar_says_what_it_can_without_extended_headers() -> None:
    path = EntryPath("d" * 155 + "/" + "f" * 100)
    entry = Entry(
        path=path, type=EntryType.FILE, mode=0o7777, uid=0o7777777, gid=0o7777777,
        mtime_s=0o77777777777, size_bytes=0o77777777777, link_target="l" * 100,
    )  # fmt: skip
    assert len(header_bytes(entry)) == 512
    assert parse_header(header_bytes(entry)).size_bytes == 0o77777777777


_FILE = Entry(path=EntryPath("f"), type=EntryType.FILE, mode=0o644)


@pytest.mark.parametrize(
    ("entry", "record"),
    [
        (replace(_FILE, uid=0o10000000), b"uid=2097152"),
        (replace(_FILE, gid=4294967294), b"gid=4294967294"),
        (replace(_FILE, mtime_s=1 << 33), b"mtime=8589934592"),
        (replace(_FILE, mtime_s=-5), b"mtime=-5"),
        (replace(_FILE, size_bytes=8 << 30), b"size=8589934592"),
        (replace(_FILE, type=EntryType.SYMLINK, link_target="t" * 101), b"linkpath=" + b"t" * 101),
    ],
    ids=["uid", "gid", "late", "early", "size", "link"],
)
def test_what_ustar_cannot_say_is_in_a_pax_record(entry: Entry, record: bytes) -> None:
    written = header_bytes(entry)
    assert b" " + record + b"\n" in written
    assert parse_header(written[:512]).type_flag == b"x"
    assert parse_header(written[:512]).name == b"PaxHeaders/f"


def test_names_of_owners_are_root_or_nothing() -> None:
    mine = _written(Entry(path=EntryPath("f"), type=EntryType.FIFO, mode=0, uid=0, gid=5))
    assert (mine.uname, mine.gname) == ("root", "")


def test_root_is_written_as_dot_slash() -> None:
    written = header_bytes(Entry(path=ROOT, type=EntryType.DIRECTORY, mode=0o755))
    assert parse_header(written).name == b"./"


def test_device_number_is_written_for_devices_only() -> None:
    device = Entry(path=EntryPath("n"), type=EntryType.BLOCK_DEVICE, mode=0, rdev=(8, 1048575))
    assert parse_header(header_bytes(device)).rdev == (8, 1048575)
    file = Entry(path=EntryPath("n"), type=EntryType.FILE, mode=0, rdev=(8, 1))
    assert header_bytes(file)[329:345] == bytes(16)
