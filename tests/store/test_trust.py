"""An entry is trusted in the boot of its making, and later only after a sync."""

import json
from pathlib import Path

import pytest

from rootrun.store.trust import boot_id, is_trusted, mark_made, mark_synced

MADE = "made.json"
OTHER_BOOT = "00000000-0000-0000-0000-000000000000"


def in_another_boot(entry: Path) -> None:
    """Make ``entry`` one of an earlier boot."""
    made = json.loads((entry / MADE).read_bytes())
    (entry / MADE).write_text(json.dumps({**made, "boot": OTHER_BOOT}))


def test_what_was_made_in_this_boot_is_trusted(tmp_path: Path) -> None:
    mark_made(tmp_path)
    assert is_trusted(tmp_path)


def test_what_was_made_in_another_boot_is_not_trusted(tmp_path: Path) -> None:
    mark_made(tmp_path)
    in_another_boot(tmp_path)
    assert not is_trusted(tmp_path)


def test_what_was_synced_is_trusted_in_every_boot(tmp_path: Path) -> None:
    mark_made(tmp_path)
    mark_synced(tmp_path)
    in_another_boot(tmp_path)
    assert is_trusted(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b'{"synced": 1}', b"\xff\xfe", b"[" * 9999],
    ids=lambda content: repr(content[:20]),
)
def test_a_damaged_mark_is_not_trusted(content: bytes, tmp_path: Path) -> None:
    (tmp_path / MADE).write_bytes(content)
    assert not is_trusted(tmp_path)


def test_nothing_is_not_trusted(tmp_path: Path) -> None:
    assert not is_trusted(tmp_path)
    assert not is_trusted(tmp_path / "gone")
    (tmp_path / "file").touch()
    assert not is_trusted(tmp_path / "file")


def test_a_mark_leaves_no_other_file(tmp_path: Path) -> None:
    mark_made(tmp_path)
    mark_synced(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MADE]


def test_the_boot_id_is_the_kernel_s() -> None:
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
