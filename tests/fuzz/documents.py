"""JSON: of images, of the command line, and of the cache."""

import json
import os
import random
import tempfile
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path

from rootrun.cli import config_values
from rootrun.errors import RootrunError
from rootrun.image.config import ImageConfig, parse_config
from rootrun.image.derive import derive_config
from rootrun.image.edits import ConfigEdits
from rootrun.image.manifest import parse_archive_manifest, parse_index, parse_manifest
from rootrun.layer.record import LayerRecord
from rootrun.store.step_store import StepRecord, key_of
from rootrun.store.trust import is_trusted
from rootrun.store.verified import VerifiedBlobs, stamp_of
from tests.support.odd_documents import put_odd_value

_WHERE = "fuzz"
_MAGIC = LayerRecord().to_bytes().partition(b" ")[0]
_STEP = StepRecord({}, "", "", "", 0, 0).to_bytes().partition(b" ")[0]


def take_documents(content: bytes) -> None:
    """Read ``content`` as each document of an image; a configuration is written, too."""
    for parse in (parse_index, parse_manifest, parse_archive_manifest):
        with suppress(RootrunError):
            parse(content, where=_WHERE)
    _assert_readable(_derived(parse_config(content, where=_WHERE), ConfigEdits()))


def take_config_option(content: bytes) -> None:
    """Lay the value of ``--config`` over a configuration, and write that."""
    text = os.fsdecode(content)
    if text.lstrip().startswith("{"):  # else it names a file
        _assert_readable(_derived(None, ConfigEdits(merge=config_values.parse_config(text))))


def _derived(base: ImageConfig | None, edits: ConfigEdits) -> ImageConfig:
    return derive_config(
        base,
        architecture=None,
        diff_ids=base.diff_ids if base else (),
        edits=edits,
        created="1970-01-01T00:00:01Z",
        created_by=("fuzz",),
    )


def _assert_readable(config: ImageConfig) -> None:
    assert parse_config(config.to_bytes(), where=_WHERE) == config


def take_cache_files(content: bytes) -> None:
    """Read ``content`` as each of the small files of the cache."""
    directory = _cache_directory()
    (directory / "made.json").write_bytes(content)
    is_trusted(directory)
    blob = directory / "blob"
    memory = directory / "verified"
    for remembered in memory.iterdir():
        remembered.write_bytes(content)
    VerifiedBlobs(memory).recall(blob)
    if content.startswith(_STEP):
        key_of(StepRecord.from_bytes(content).inputs)
    else:
        LayerRecord.from_bytes(content)


@cache
def _cache_directory() -> Path:
    """Make a directory with a blob that is remembered; it stays as long as the process."""
    directory = Path(tempfile.mkdtemp(prefix="rootrun-fuzz-"))
    blob = directory / "blob"
    blob.touch()
    os.utime(blob, (1, 1))
    (directory / "verified").mkdir()
    VerifiedBlobs(directory / "verified").remember(blob, [], read=stamp_of(blob))
    return directory


def with_odd_value(content: bytes, chooser: random.Random) -> bytes:
    """Return the JSON in ``content`` with an odd value in it, or ``content`` if it is none."""
    start = max(0, min(content.find(b"{"), content.find(b"[")))
    try:
        document: object = json.loads(content[start:])
        put_odd_value(document, chooser)
    except (ValueError, LookupError, RecursionError):  # LookupError: there is nothing in it
        return content
    return content[:start] + json.dumps(document, separators=(",", ":")).encode()


def with_right_checksum(content: bytes) -> bytes:
    """Return a record of the cache with the checksum of its body."""
    head, newline, body = content.partition(b"\n")
    kind = _STEP if head.startswith(_STEP) else _MAGIC
    if not newline or not head.startswith(kind):
        return content
    return b"%b %08x\n%b" % (kind, zlib.crc32(body), body)
