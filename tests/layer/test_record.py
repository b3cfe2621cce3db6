"""The record of a layer: written, read again, and refused where it is damaged."""

import os
import zlib
from pathlib import Path

import pytest

from rootrun.dataclass import replace
from rootrun.errors import StoreError
from rootrun.layer.entry import ROOT, EntryPath, EntryType
from rootrun.layer.record import LayerRecord, Recorded
from tests.support.program import run_python

_ODD = EntryPath("d/caf\u00e9 \udcff\n\"'")
_RECORD = LayerRecord(
    entries={
        _ODD: Recorded(EntryType.FILE, 0o4755, 1, 4294967294, (0, 0), {"user.\udcfe": b"\xff\0"}),
        EntryPath("n"): Recorded(EntryType.BLOCK_DEVICE, 0o600, 0, 6, (8, 1048575)),
    },
    implicit=frozenset({ROOT, EntryPath("d")}),
    opaque=frozenset({EntryPath("d")}),
    foreign_links={EntryPath("l"): _ODD},
    set_ids=frozenset({_ODD}),
    entry_count=7,
    size_bytes=1 << 40,
    checksum=(1 << 64) - 1,
)


def test_record_survives_being_written() -> None:
    assert LayerRecord.from_bytes(_RECORD.to_bytes()) == _RECORD
    assert LayerRecord.from_bytes(LayerRecord().to_bytes()) == LayerRecord()


def test_same_records_have_the_same_bytes() -> None:
    backwards = replace(
        _RECORD,
        entries={path: _RECORD.entries[path] for path in reversed(list(_RECORD.entries))},
        implicit=frozenset(sorted(_RECORD.implicit, reverse=True)),
    )
    assert backwards.to_bytes() == _RECORD.to_bytes()


def test_every_damaged_byte_is_noticed() -> None:
    content = _RECORD.to_bytes()
    for index in range(len(content)):
        damaged = content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]
        with pytest.raises(StoreError, match="is damaged"):
            LayerRecord.from_bytes(damaged)


def test_metadata_is_written_once_and_asked_about_once() -> None:
    paths = {EntryPath(f"d/{number}") for number in range(1000)}
    same = {path: Recorded(EntryType.FILE, 0o644, 1000, 1000) for path in paths}
    content = LayerRecord(entries={**same, **_RECORD.entries}).to_bytes()
    assert content.count(b"1000") == 2
    asked = []

    def is_of_app(recorded: Recorded) -> bool:
        asked.append(recorded)
        return recorded.uid == 1000

    read = LayerRecord.from_bytes(content)
    assert read.where(is_of_app) == paths
    assert len(asked) == 3
    assert read.where(lambda _: False) == set()


@pytest.mark.parametrize("cut", [0, 1, 10, 40, -1])
def test_cut_record_is_noticed(cut: int) -> None:
    with pytest.raises(StoreError, match="is damaged"):
        LayerRecord.from_bytes(_RECORD.to_bytes()[:cut])


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"null", b'{"entries":[["0",1,[]]]}', b"\xff", b"[" * 9999]
)
def test_record_of_another_shape_is_refused(body: bytes) -> None:
    content = b"rootrun-layer-record-2 %08x\n%b" % (zlib.crc32(body), body)
    with pytest.raises(StoreError, match="is damaged"):
        LayerRecord.from_bytes(content)


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "no_SUCH.locale"])
def test_record_does_not_depend_on_the_locale(locale: str) -> None:
    source = (
        "from rootrun.layer.record import LayerRecord\n"
        "sys.stdout.buffer.write(LayerRecord.from_bytes(sys.stdin.buffer.read()).to_bytes())"
    )
    result = run_python(source, env={"LC_ALL": locale}, stdin=_RECORD.to_bytes())
    assert result.stdout == _RECORD.to_bytes(), result.stderr.decode()


def test_names_in_a_record_are_those_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).write_bytes(b"")
    (name,) = os.listdir(tmp_path)
    record = LayerRecord(opaque=frozenset({EntryPath(name)}))
    assert LayerRecord.from_bytes(record.to_bytes()).opaque == {name}
