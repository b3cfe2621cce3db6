"""What can happen to an entry of the cache, as functions of its directory.

The entry is one of ``tests.store.layers``; ``tree/d/f`` is a file, ``tree/l`` a symlink.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.store.test_trust import in_another_boot
from tests.support.public import remove_directory

Damage = Callable[[Path], object]


def change_content(path: Path) -> None:
    """Change a byte of a file, at the same size and time."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _change_link(entry: Path) -> None:
    """Make the symlink lead elsewhere, at the same time."""
    link = entry / "tree" / "l"
    status = link.lstat()
    link.unlink()
    link.symlink_to("d/F")
    os.utime(link, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def _half_write(entry: Path) -> None:
    """Leave what a writer leaves that dies between the tree and the record."""
    (entry / "record.json").unlink()
    (entry / "made.json").unlink()


def _cut_power(entry: Path) -> None:
    """Leave what a power cut can leave of what was not synced."""
    os.truncate(entry / "tree" / "d" / "f", 0)
    in_another_boot(entry)


def _lead_elsewhere(path: Path) -> None:
    """Put a symlink in place of ``path``, to what is another layer in form."""
    (layers,) = (parent for parent in path.parents if parent.name == "layers-2")
    outside = layers.with_name("outside")
    path.rename(outside)
    for file in (outside / "d" / "f", outside / "tree" / "d" / "f"):
        if file.exists():
            change_content(file)
    path.symlink_to(outside)


def _put_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _as_another_layer(entry: Path) -> None:
    """Have the record be that of another layer, whole as it is."""
    record = entry / "record.json"
    _, newline, content = record.read_bytes().partition(b"\n")
    record.write_bytes(b"ef" * 32 + newline + content)


FOUND_AT_ONCE: dict[str, Damage] = {
    "record changed": lambda entry: (entry / "record.json").write_bytes(b"x"),
    "record cut": lambda entry: os.truncate(entry / "record.json", 40),
    "record emptied": lambda entry: os.truncate(entry / "record.json", 0),
    "no record": lambda entry: (entry / "record.json").unlink(),
    "record of another layer": _as_another_layer,
    "record a symlink": lambda entry: _lead_elsewhere(entry / "record.json"),
    "record a fifo": lambda entry: _put_fifo(entry / "record.json"),
    "half written": _half_write,
    "mark a fifo": lambda entry: _put_fifo(entry / "made.json"),
    "no tree": lambda entry: remove_directory(entry / "tree"),
    "tree a symlink": lambda entry: _lead_elsewhere(entry / "tree"),
    "entry a symlink": _lead_elsewhere,
    "open to others": lambda entry: entry.chmod(0o777),
}
"""What a run finds, too. The rest is found by reading the whole tree alone."""

STALE: dict[str, Damage] = {
    "of another boot": _cut_power,
    "mark emptied": lambda entry: os.truncate(entry / "made.json", 0),
    "mark of nothing": lambda entry: (entry / "made.json").write_text(json.dumps({})),
}
"""What no run trusts, and nobody calls damage."""

DAMAGE: dict[str, Damage] = {
    **FOUND_AT_ONCE,
    "content": lambda entry: change_content(entry / "tree" / "d" / "f"),
    "cut": lambda entry: os.truncate(entry / "tree" / "d" / "f", 3),
    "mode": lambda entry: (entry / "tree" / "d" / "f").chmod(0o600),
    "mode of a directory": lambda entry: (entry / "tree" / "d").chmod(0o700),
    "time": lambda entry: os.utime(entry / "tree" / "d" / "f", (5, 5)),
    "missing": lambda entry: (entry / "tree" / "l").unlink(),
    "extra": lambda entry: (entry / "tree" / "extra").touch(),
    "renamed": lambda entry: (entry / "tree" / "l").rename(entry / "tree" / "m"),
    "link": _change_link,
    "attribute": lambda entry: os.setxattr(entry / "tree" / "d" / "f", "user.k", b"v"),
    "attribute of a directory": lambda entry: os.setxattr(entry / "tree" / "d", "user.k", b"v"),
}

OWNERS: dict[str, Damage] = {
    "owner": lambda entry: os.chown(entry / "tree" / "d" / "f", 1, 1),
    "owner of a directory": lambda entry: os.chown(entry / "tree" / "d", 1, 1),
    "owner of a symlink": lambda entry: os.chown(entry / "tree" / "l", 1, 1, follow_symlinks=False),
    "owner of the entry": lambda entry: os.chown(entry, 1, 1),
}
"""What root alone can do."""
