"""What is said of a path that two runs left differently."""

from pathlib import Path

import pytest

from rootrun.compose.difference import Difference, Made, differences, outcome_of
from rootrun.layer.diff import Change
from rootrun.layer.entry import Entry, EntryPath, EntryType


def made(path: str, *, digest: bytes = b"", **attributes: object) -> Made:
    kind = attributes.pop("type", EntryType.FILE)
    mode = attributes.pop("mode", 0o644)
    entry = Entry(path=EntryPath(path), type=kind, mode=mode, **attributes)  # type: ignore[arg-type] # passed through
    return Made(entry, digest)


GONE = Made(Entry(path=EntryPath("of-base"), type=EntryType.FILE, mode=0o644), is_deleted=True)


def said(one: Made | None, other: Made | None, uppers: tuple[Path, Path]) -> list[Difference]:
    path = (one or other or made("")).entry.path
    outcomes = [{path: side} if side else {} for side in (one, other)]
    return list(
        differences(
            outcomes[0], outcomes[1], uppers=uppers, is_in_base=lambda path: path == "of-base"
        )
    )


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (made("f"), None, "'f': only in the first run"),
        (None, made("f"), "'f': only in the second run"),
        (made("of-base"), None, "'of-base': changed only in the first run"),
        (GONE, None, "'of-base': deleted only in the first run"),
        (made("of-base"), GONE, "'of-base': deleted only in the second run"),
        (made("f", mode=0o755), made("f", uid=5), "'f': mode 755 and 644, owner 0:0 and 5:0"),
        (
            made("l", type=EntryType.SYMLINK, link_target="a"),
            made("l", type=EntryType.SYMLINK, link_target="b"),
            "'l': target 'a' and 'b'",
        ),
        (made("d", type=EntryType.FIFO), made("d"), "'d': fifo and file"),
        (
            made("c", type=EntryType.CHARACTER_DEVICE, rdev=(1, 3)),
            made("c", type=EntryType.CHARACTER_DEVICE, rdev=(1, 5)),
            "'c': device (1, 3) and (1, 5)",
        ),
        (
            made("x", xattrs={"user.a": b"1", "user.b": b"2"}),
            made("x", xattrs={"user.a": b"1", "user.c": b"2"}),
            "'x': attributes user.b, user.c",
        ),
    ],
)
def test_metadata_is_compared(
    one: Made | None, other: Made | None, expected: str, tmp_path: Path
) -> None:
    assert [str(one) for one in said(one, other, (tmp_path, tmp_path))] == [expected]


def test_what_is_equal_is_no_difference(tmp_path: Path) -> None:
    assert said(made("f", digest=b"1"), made("f", digest=b"1"), (tmp_path, tmp_path)) == []


@pytest.mark.parametrize(
    ("contents", "shown"),
    [
        ((b"abc", b"abd"), "from byte 2 on: b'abc' and b'abd'"),
        ((b"abc", b"abcd"), "from byte 3 on: b'abc' and b'abcd'"),
        ((b"x" * 2**21 + b"1", b"x" * 2**21 + b"2"), "byte 2097152 on: b'xxxxxxxxxxxx1' and b'xxx"),
    ],
)
def test_content_is_shown_from_where_it_differs(
    contents: tuple[bytes, bytes], shown: str, tmp_path: Path
) -> None:
    uppers = (tmp_path / "one", tmp_path / "other")
    for upper, content in zip(uppers, contents, strict=True):
        upper.mkdir()
        (upper / "f").write_bytes(content)
    (difference,) = said(made("f", digest=b"1"), made("f", digest=b"2"), uppers)
    assert shown in difference.what


def test_what_is_there_is_explained_where_the_path_says_nothing(tmp_path: Path) -> None:
    uppers = (tmp_path / "one", tmp_path / "other")
    for upper, content in zip(uppers, (b"made 12:34:56", b"made 12:34:57"), strict=True):
        upper.mkdir()
        (upper / "f").write_bytes(content)
    (difference,) = said(made("f", digest=b"1"), made("f", digest=b"2"), uppers)
    assert difference.remark.startswith("a time")


def test_a_directory_above_a_change_is_no_difference() -> None:
    above = Entry(path=EntryPath("d"), type=EntryType.DIRECTORY, mode=0o755)
    link = Entry(path=EntryPath("d/l"), type=EntryType.SYMLINK, mode=0o777, link_target="x")
    outcome = outcome_of([Change(above, is_ancestor=True), Change(link)])
    assert outcome == {"d/l": Made(link)}


def test_a_whiteout_is_told_as_the_path_that_it_deletes() -> None:
    whiteout = Entry(path=EntryPath("d/.wh.f"), type=EntryType.FILE, mode=0o644)
    assert outcome_of([Change(whiteout)]) == {"d/f": Made(whiteout, is_deleted=True)}
