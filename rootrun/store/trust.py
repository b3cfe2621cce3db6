"""Which entries of the cache are trusted to be on the disk as they were made.

Nothing is synced while a run waits for it. A power cut can therefore leave a
renamed entry whose files are empty; an entry is trusted in the boot of its
making, and after that only if a sync was recorded.
"""

import json
import os
from functools import cache
from pathlib import Path

MADE = "made.json"


@cache
def boot_id() -> str:
    """Return the identity of the running boot (random(4), /proc/sys/kernel/random)."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def mark_made(entry: Path) -> None:
    """Record in ``entry`` that it was made in this boot."""
    _write(entry, {"boot": boot_id(), "synced": False})


def mark_synced(entry: Path) -> None:
    """Record in ``entry`` that its file system was synced after it was made."""
    _write(entry, {"boot": boot_id(), "synced": True})


def is_trusted(entry: Path) -> bool:
    """Say whether ``entry`` exists and was made in this boot, or was synced since."""
    try:
        made = json.loads((entry / MADE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(made, dict):
        return False
    return made.get("synced") is True or made.get("boot") == boot_id()


def _write(entry: Path, made: dict[str, object]) -> None:
    path = entry / MADE
    temporary = entry / f".{MADE}"
    with open(temporary, "wb") as file:
        file.write(json.dumps(made, separators=(",", ":")).encode())
        if made["synced"]:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)
