"""One entry of the cache: what has to be in its directory, and the record that belongs to it."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from rootrun.errors import StoreError
from rootrun.layer.record import LayerRecord
from rootrun.store.private import is_private_directory
from rootrun.store.trust import MADE

RECORD = "record.json"
TREE = "tree"

Form = Mapping[str, int]
"""What has to be at which names in an entry: the types of stat(2)."""

FORM_OF_LAYER: Form = {TREE: stat.S_IFDIR, RECORD: stat.S_IFREG, MADE: stat.S_IFREG}


def problem_of(entry: Path, form: Form) -> str | None:
    """Say what is wrong with the form of ``entry``; None for nothing. Reads no content.

    Symlinks are wrong everywhere: they could lead to what others write.
    """
    if not is_private_directory(entry):
        return "is not a directory of this user's alone"
    try:
        for name, kind in form.items():
            if stat.S_IFMT(os.lstat(entry / name).st_mode) != kind:
                return f"{name}: is of another type"
    except OSError as error:
        return f"{os.path.basename(error.filename)}: {error.strerror}"
    return None


def write_record(entry: Path, record: LayerRecord, *, key: str) -> None:
    """Write the record of the layer ``key``, of which ``entry`` will be the place."""
    (entry / RECORD).write_bytes(b"%b\n%b" % (os.fsencode(key), record.to_bytes()))


def read_record(entry: Path) -> LayerRecord:
    """Return the record of ``entry``; StoreError if it is damaged, or that of another one."""
    key, _, content = (entry / RECORD).read_bytes().partition(b"\n")
    record = LayerRecord.from_bytes(content)
    if key != os.fsencode(entry.name):
        raise StoreError("read cache: record of a layer: is of another layer")
    return record
