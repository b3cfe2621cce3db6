"""Directories of an unpacked layer with the marks of overlayfs that setxattr(2) may not write.

The seccomp filter of a Nix build refuses setxattr(2). The kernel itself is not refused, so the
directories in question are replaced by ones that an overlay has marked.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from rootrun import log
from rootrun.errors import SandboxError
from rootrun.layer.entry import ROOT, is_kept_xattr, parent
from rootrun.layer.ledger import Ledger
from rootrun.layer.tree import Tree

MarkedDirectories = Callable[[int, Sequence[bool]], AbstractContextManager[int]]
"""Makes directories "0", "1", ... and gives a descriptor of where they are; in the end they go.

They are on the file system of the directory given, have the origin's mark, and the opaque one
where the sequence says so. Raises SandboxError where the kernel does not mark either.
"""

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def replace_unmarked(tree_fd: int, ledger: Ledger, marked_directories: MarkedDirectories) -> None:
    """Replace the directories of ``ledger`` that lack a mark; their modes and times are not kept.

    Those that cannot be replaced are still in ``unmarked`` then. The root has no use for a mark:
    overlayfs does not look at it there.
    """
    ledger.unmarked.discard(ROOT)
    # A parent comes before what is in it; the rest are whiteouts.
    paths = sorted(ledger.unmarked & ledger.directories.keys())
    if not paths:
        return
    are_opaque = [path in ledger.opaque for path in paths]
    try:
        with marked_directories(tree_fd, are_opaque) as made_fd:
            for number, path in enumerate(paths):
                with Tree(tree_fd) as tree:
                    directory_fd = tree.resolve_directory(parent(path)).fd
                    name = path.rpartition("/")[2]
                    if _replace(name, directory_fd, str(number), made_fd):
                        ledger.unmarked.remove(path)
    except SandboxError as error:
        log.debug("overlayfs cannot show the layer: %s", error)


def _replace(name: str, directory_fd: int, made: str, made_fd: int) -> bool:
    old_fd = os.open(name, _OPEN_DIRECTORY, dir_fd=directory_fd)
    try:
        if any(is_kept_xattr(xattr) for xattr in os.listxattr(old_fd)):
            return False  # no refusal: there was no room for the mark beside them
        new_fd = os.open(made, _OPEN_DIRECTORY, dir_fd=made_fd)
        try:
            status = os.fstat(old_fd)
            os.fchown(new_fd, status.st_uid, status.st_gid)
            for child in os.listdir(old_fd):
                os.rename(child, child, src_dir_fd=old_fd, dst_dir_fd=new_fd)
        finally:
            os.close(new_fd)
    finally:
        os.close(old_fd)
    os.rename(made, name, src_dir_fd=made_fd, dst_dir_fd=directory_fd)  # over the empty one
    return True
