"""Reading tars of all dialects, whole and broken."""

import io
import tarfile

import pytest

from rootrun.errors import LayerError
from rootrun.layer.entry import Entry, EntryType
from rootrun.layer.tar_reader import TarReader
from tests.support.tarball import (
    END,
    Member,
    TarFormat,
    device,
    directory,
    file,
    hardlink,
    padded,
    symlink,
    tarball,
)


class Dribble(io.BytesIO):
    """A stream that gives one to seven bytes at a time, as a pipe may."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return fewer bytes than asked for."""
        return super().read(min(size or 0, 1 + self.tell() % 7))


def _read(tar: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader(io.BytesIO(tar))
    return [(entry, reader.read(entry.size_bytes)) for entry in reader]


def _entries(tar: bytes) -> list[Entry]:
    return [entry for entry, _ in _read(tar)]


def _header(member: Member, **changes: object) -> bytes:
    """Return the header block of a member after setting attributes of its TarInfo."""
    for name, value in changes.items():
        setattr(member.header, name, value)
    return member.header.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize("tar_format", [0, 1, 2], ids=["ustar", "gnu", "pax"])
def test_every_dialect_says_the_same(tar_format: TarFormat) -> None:
    tar = tarball(
        directory("d", 0o1755, uid=1, gid=2, mtime=3), file("d/f", b"x" * 1000, 0o4711),
        symlink("l", "/t"), hardlink("h", "./d/f"), device("n", 8, 9, kind="block"),
        tar_format=tar_format,
    )  # fmt: skip
    found, contents = zip(*_read(tar), strict=True)
    assert [entry.path for entry in found] == ["d", "d/f", "l", "h", "n"]
    assert found[0] == Entry(path=found[0].path, type=EntryType.DIRECTORY, mode=0o1755,
                             uid=1, gid=2, mtime_s=3)  # fmt: skip
    assert (found[1].mode, contents[1]) == (0o4711, b"x" * 1000)
    assert [entry.link_target for entry in found[2:4]] == ["/t", "d/f"]
    assert (found[4].type, found[4].rdev) == (EntryType.BLOCK_DEVICE, (8, 9))


@pytest.mark.parametrize("tar_format", [1, 2], ids=["gnu", "pax"])
@pytest.mark.parametrize("name", ["n" * 255, "d/" * 400 + "f", "\udcff" * 200], ids=len)
def test_long_names_are_read(tar_format: TarFormat, name: str) -> None:
    tar = tarball(symlink(name, name), file("next"), tar_format=tar_format)
    assert [(entry.path, entry.link_target) for entry in _entries(tar)] == [
        (name, name),
        ("next", ""),
    ]


def test_stream_that_dribbles_is_read() -> None:
    tar = tarball(file("n" * 200, b"content" * 1000), file("b", b"1"))
    reader = TarReader(Dribble(tar))
    assert [(entry.path, reader.read(10**6)) for entry in reader] == [
        ("n" * 200, b"content" * 1000),
        ("b", b"1"),
    ]


def test_content_that_is_not_read_is_skipped() -> None:
    reader = TarReader(io.BytesIO(tarball(file("a", b"1" * 5000), file("b", b"2" * 5000))))
    assert [(entry.path, reader.read(3)) for entry in reader] == [("a", b"111"), ("b", b"222")]


def test_content_is_read_in_pieces() -> None:
    reader = TarReader(io.BytesIO(tarball(file("a", bytes(range(256)) * 40))))
    next(iter(reader))
    pieces = list(iter(lambda: reader.read(1000), b""))
    assert b"".join(pieces) == bytes(range(256)) * 40
    assert {len(piece) for piece in pieces[:-1]} == {1000}


def test_attributes_are_read_as_bytes() -> None:
    values = {"user.a": b"\xff\0=\n", "security.capability": b"\1\0\0\2"}
    assert _entries(tarball(file("f", xattrs=values)))[0].xattrs == values


def test_global_records_are_ignored() -> None:
    content = b"14 path=evil\n\n"
    header = tarfile.TarInfo("global")
    header.type, header.size = tarfile.XGLTYPE, len(content)
    tar = tarball(header.tobuf(tarfile.USTAR_FORMAT) + padded(content), file("a"), file("b"))
    assert [entry.path for entry in _entries(tar)] == ["a", "b"]


@pytest.mark.parametrize("flag", [b"g", b"V"])
@pytest.mark.parametrize("before", [b"x", b"L", b"K"])
def test_global_header_between_those_of_an_entry_is_refused(flag: bytes, before: bytes) -> None:
    """Go forgets what came before it, GNU tar does not: they would see different names."""
    record = b"15 path=hidden\n" if before == b"x" else b"hidden\0"
    blocks = _header(file("x", record), type=before) + padded(record)
    tar = tarball(blocks, _header(file("g"), type=flag), file("seen"))
    with pytest.raises(LayerError, match="a global one between those of an entry"):
        _read(tar)


def test_last_of_several_extended_headers_counts() -> None:
    blocks = [_header(file("x", record), type=b"x") + padded(record)
              for record in (b"10 path=a\n", b"9 uid=77\n", b"10 path=b\n")]  # fmt: skip
    assert [entry.path for entry in _entries(tarball(*blocks, file("f")))] == ["b"]


def test_type_of_a_long_name_s_header_is_that_of_the_entry() -> None:
    """CVE-2025-13462: a name that ends in a slash makes no directory of a header before."""
    name = b"n" * 150 + b"/"
    blocks = _header(file("x/", name), type=b"L") + padded(name)
    tar = tarball(blocks, _header(file("short", b"abc"), type=b"0") + padded(b"abc"), file("next"))
    assert [(e.path, e.type, c) for e, c in _read(tar)] == [
        ("n" * 150, EntryType.FILE, b"abc"),
        ("next", EntryType.FILE, b""),
    ]


def test_names_of_owners_are_ignored() -> None:
    """layer.md, File Attributes: where there are ids, they count."""
    member = file("f", uid=5, gid=6)
    member.header.uname, member.header.gname = "root", "shadow"
    (entry,) = _entries(tarball(member))
    assert (entry.uid, entry.gid) == (5, 6)


def test_size_of_a_record_wins_over_the_header() -> None:
    """What a parser that trusts the header takes for content is a header here, and the reverse."""
    hidden = tarball(file("hidden"), end=b"")
    carrier = file("carrier", hidden, pax={"size": str(len(hidden))})
    carrier.header.size = 0
    tar = tarball(carrier, file("next"))
    assert [(e.path, content) for e, content in _read(tar)] == [("carrier", hidden), ("next", b"")]


@pytest.mark.parametrize("flag", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_entry_without_content_has_none_whatever_its_size(flag: bytes) -> None:
    header = _header(symlink("x", "y"), type=flag, size=10_000, devmajor=1, devminor=1)
    entries = _entries(tarball(header, file("next")))
    assert [(entry.path, entry.size_bytes) for entry in entries] == [("x", 0), ("next", 0)]


@pytest.mark.parametrize("flag", [b"0", b"\0", b"7"])
def test_old_flags_of_files_are_files(flag: bytes) -> None:
    header = _header(file("f"), type=flag, size=3)
    assert _read(tarball(header + padded(b"abc")))[0][1] == b"abc"


def test_old_file_with_a_trailing_slash_is_a_directory() -> None:
    header = _header(file("d/"), type=b"\0", size=10_000)
    assert [entry.type for entry in _entries(tarball(header, file("d/f")))] == [
        EntryType.DIRECTORY,
        EntryType.FILE,
    ]


@pytest.mark.parametrize("flag", [b"V", b"N", b"I"])
def test_entries_that_say_nothing_of_files_are_skipped(flag: bytes) -> None:
    header = _header(file("label"), type=flag, size=5)
    assert [e.path for e in _entries(tarball(header + padded(b"12345"), file("f")))] == ["f"]


def test_dump_directory_is_a_directory() -> None:
    header = _header(file("d"), type=b"D", size=5)
    entries = _entries(tarball(header + padded(b"Yf\0\0\0"), file("f")))
    assert [(e.path, e.type.name, e.size_bytes) for e in entries] == [
        ("d", "DIRECTORY", 0),
        ("f", "FILE", 0),
    ]


@pytest.mark.parametrize("flag", [b"M", b"8", b"Z", b"\xff"])
def test_type_that_is_not_known_is_named(flag: bytes) -> None:
    with pytest.raises(LayerError, match=r"'f'.*not supported"):
        _read(tarball(_header(file("f"), type=flag)))


@pytest.mark.parametrize("mtime", [-5, 0, 2**33 - 1, 2**33, 2**60])
@pytest.mark.parametrize("tar_format", [1, 2], ids=["gnu", "pax"])
def test_time_is_clamped(mtime: int, tar_format: TarFormat) -> None:
    entry = _entries(tarball(file("f", mtime=mtime), tar_format=tar_format))[0]
    assert entry.mtime_s == min(max(mtime, 0), 2**33 - 1)


def test_owner_minus_two_is_what_linux_makes_of_it() -> None:
    assert _entries(tarball(file("f", uid=-2), tar_format=tarfile.GNU_FORMAT))[0].uid == 2**32 - 2


@pytest.mark.parametrize("uid", [-1, 2**32 - 1, 2**40, -(2**40)])
def test_owner_that_nobody_can_be_is_refused(uid: int) -> None:
    with pytest.raises(LayerError, match="impossible owner"):
        _read(tarball(file("f", uid=uid), tar_format=tarfile.GNU_FORMAT))


def test_device_number_that_no_device_has_is_refused() -> None:
    with pytest.raises(LayerError, match="impossible device number"):
        _read(tarball(device("n", 4096, 0)))


@pytest.mark.parametrize("target", ["", "a\0b"])
def test_symlink_to_no_name_is_refused(target: str) -> None:
    link = symlink("l", "x")
    link.header.linkname = ""
    link.header.pax_headers = {"linkpath": target} if target else {}
    with pytest.raises(LayerError, match=r"malformed|symlink to no name"):
        _read(tarball(link))


def test_nameless_entry_is_refused() -> None:
    with pytest.raises(LayerError, match="is not a name"):
        _read(tarball(file("")))


@pytest.mark.parametrize("end", [END, b"", bytes(512), END + b"junk" * 1000, bytes(10240)],
                         ids=["blocks", "nothing", "one-block", "junk", "gnu"])  # fmt: skip
def test_end_is_recognised(end: bytes) -> None:
    assert [entry.path for entry in _entries(tarball(file("f", b"x"), end=end))] == ["f"]


def test_entries_behind_the_end_do_not_appear() -> None:
    assert [e.path for e in _entries(tarball(file("a"), END, file("hidden")))] == ["a"]


def test_lone_block_of_zeros_is_refused() -> None:
    with pytest.raises(LayerError, match="lone block of zeros"):
        _read(tarball(file("a"), bytes(512), file("hidden")))


@pytest.mark.parametrize("tar_format", [1, 2], ids=["gnu", "pax"])
def test_truncation_anywhere_is_noticed(tar_format: TarFormat) -> None:
    tar = tarball(file("n" * 150, b"x" * 700), tar_format=tar_format, end=b"")
    last = len(tar) - (-700 % 512)  # the last padding may be missing
    for length in range(1, last, 37):
        with pytest.raises(LayerError, match=r"truncated|checksum"):
            _read(tar[:length])
    assert _read(tar[:last])[0][1] == b"x" * 700


@pytest.mark.parametrize("junk", [b"\x1f\x8b" + b"x" * 600, b"{" + b" " * 2000, b"\xff" * 512])
def test_what_is_no_tar_is_refused(junk: bytes) -> None:
    with pytest.raises(LayerError):
        _read(junk)


@pytest.mark.parametrize("size", [2**40, 2**63 - 1], ids=["1TiB", "8EiB"])
def test_claimed_size_costs_nothing(size: int) -> None:
    header = file("f").header
    header.size = size
    reader = TarReader(io.BytesIO(header.tobuf(tarfile.GNU_FORMAT) + b"x" * 1000))
    assert next(iter(reader)).size_bytes == size
    with pytest.raises(LayerError, match="truncated"):
        reader.read(size)


@pytest.mark.parametrize("size", [-1, -512, 2**80])
def test_impossible_size_is_refused(size: int) -> None:
    header = file("f").header
    header.size = size
    with pytest.raises(LayerError, match="impossible size"):
        _read(header.tobuf(tarfile.GNU_FORMAT))


@pytest.mark.parametrize("flag", [b"x", b"L", b"K"])
@pytest.mark.parametrize("size", [(1 << 20) + 1, 2**62, -1])
def test_extended_header_of_great_size_is_refused(flag: bytes, size: int) -> None:
    header = file("f").header
    header.type, header.size = flag, size
    with pytest.raises(LayerError, match=r"more than 1 MiB|negative size"):
        _read(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
