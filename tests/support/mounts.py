"""File systems that hold less than a disk's: an overlay, and one without extended attributes."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def overlay(directory: Path, *more_options: str) -> Iterator[Path]:
    """Mount an overlay in ``directory``, as a container's root is one; everybody may write to it.

    Its lower and upper directories are ``lower``, which may be there, and ``upper``. Needs root.
    """
    for name in ("lower", "upper", "work", "merged"):
        (directory / name).mkdir(exist_ok=True)
    (directory / "upper").chmod(0o1777)
    parts = {f"{name}dir": directory / name for name in ("lower", "upper", "work")}
    options = ",".join([*(f"{key}={path}" for key, path in parts.items()), *more_options])
    with _mounted(directory / "merged", "overlay", options) as merged:
        yield merged


@contextmanager
def overlay_of_two(directory: Path) -> Iterator[Path]:
    """Mount an overlay of two file systems, in which files and directories differ in st_dev."""
    (directory / "lower").mkdir()
    with (
        _mounted(directory / "lower", "tmpfs", "mode=755"),
        overlay(directory, "xino=off") as merged,
    ):
        yield merged


@contextmanager
def without_xattrs(directory: Path) -> Iterator[Path]:
    """Mount a file system without user extended attributes, as tmpfs before Linux 6.6 is one."""
    (directory / "ramfs").mkdir()
    with _mounted(directory / "ramfs", "ramfs", "mode=1777") as mounted:
        yield mounted


@contextmanager
def _mounted(target: Path, kind: str, options: str) -> Iterator[Path]:
    subprocess.run(["mount", "-t", kind, "-o", options, "none", target], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", target], check=True)
