"""Directories with the marks of overlayfs, written by the kernel where setxattr(2) is refused.

Copying up a directory marks where it came from; moving a directory that only the upper has, within
one that is merged, marks it opaque (ovl_rename in fs/overlayfs/dir.c).
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rootrun.errors import SandboxError
from rootrun.layer.metadata import OPAQUE_XATTR, ORIGIN_XATTR
from rootrun.layer.removal import remove_tree
from rootrun.sandbox.overlay import mount_overlay, unmount

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o700


@contextmanager
def marked_directories(beside_fd: int, are_opaque: Sequence[bool]) -> Iterator[int]:
    """Make directories as ``layer.marks.MarkedDirectories`` says, in the directory ``beside_fd``.

    Raises SandboxError if an overlay cannot be mounted there, or leaves no marks.
    """
    name = f".rootrun-{os.urandom(6).hex()}"
    os.mkdir(name, _MODE, dir_fd=beside_fd)
    try:
        scratch = Path(os.readlink(f"/proc/self/fd/{beside_fd}"), name)
        upper = scratch / "upper"
        upper.mkdir()
        _copy_up(scratch, [str(number) for number in range(len(are_opaque))])
        _make_opaque(scratch, [str(number) for number, wanted in enumerate(are_opaque) if wanted])
        _check(upper, are_opaque)
        upper_fd = os.open(upper, _OPEN_DIRECTORY)
        try:
            yield upper_fd
        finally:
            os.close(upper_fd)
    finally:
        remove_tree(name, directory_fd=beside_fd)


def _copy_up(scratch: Path, names: Sequence[str]) -> None:
    lower = scratch / "lower"
    for name in names:
        (lower / name).mkdir(parents=True)
    with _overlay(scratch, lower=lower, number=1) as merged:
        for name in names:
            (merged / name).chmod(_MODE)


def _make_opaque(scratch: Path, names: Sequence[str]) -> None:
    """Move away and back what now is in the upper alone: the lower is another one."""
    if not names:
        return
    lower = scratch / "empty"
    lower.mkdir()
    with _overlay(scratch, lower=lower, number=2) as merged:
        for name in names:
            try:
                os.rename(merged / name, merged / "moved")
            except OSError as error:
                # The upper can hold no mark: a tmpfs before Linux 6.6 has no user attributes.
                if error.errno != errno.EXDEV:
                    raise
                raise SandboxError(f"mark directories: {merged}: {error.strerror}") from error
            os.rename(merged / "moved", merged / name)


@contextmanager
def _overlay(scratch: Path, *, lower: Path, number: int) -> Iterator[Path]:
    merged, work = scratch / f"merged{number}", scratch / f"work{number}"
    merged.mkdir()
    work.mkdir()  # one of its own: ``volatile`` leaves a mark in it
    mount_overlay(merged, lowers=[lower], upper=scratch / "upper", work=work)
    try:
        yield merged
    finally:
        unmount(merged)


def _check(upper: Path, are_opaque: Sequence[bool]) -> None:
    for number, is_opaque in enumerate(are_opaque):
        found = os.listxattr(upper / str(number))  # a newer Nix refuses getxattr(2) as well
        if ORIGIN_XATTR not in found or (OPAQUE_XATTR in found) != is_opaque:
            raise SandboxError(f"mark directories: {upper}: the kernel leaves no marks there")
