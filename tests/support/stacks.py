"""Stacks of unpacked layers, as a run has them, from tars that tests build."""

import io
import os
import stat
from pathlib import Path

from rootrun.layer.apply import apply_layer
from rootrun.layer.record import IdRanges
from rootrun.layer.stack import LayerStack, UnpackedLayer
from tests.support.unpacking import EVERY_ID

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def stack_of(directory: Path, *layers: bytes, ids: IdRanges = EVERY_ID) -> LayerStack:
    """Unpack ``layers``, bottom first, below ``directory``."""
    return LayerStack(
        unpacked_layer(directory / f"layer-{number}", layer, ids=ids)
        for number, layer in enumerate(layers)
    )


def unpacked_layer(tree: Path, layer: bytes, *, ids: IdRanges = EVERY_ID) -> UnpackedLayer:
    """Unpack ``layer`` into the new directory ``tree``."""
    tree.mkdir()
    tree_fd = os.open(tree, OPEN_DIRECTORY)
    try:
        record = apply_layer(io.BytesIO(layer), tree_fd=tree_fd, ids=ids, redirects={})
    finally:
        os.close(tree_fd)
    return UnpackedLayer(tree=tree, record=record)


def make_whiteout(path: Path) -> None:
    """Make what overlayfs leaves in an upper directory for a deleted path."""
    os.mknod(path, stat.S_IFCHR)


def make_opaque(directory: Path) -> None:
    """Make a directory hide the base's, as overlayfs does for one that was made again."""
    os.setxattr(directory, "user.overlay.opaque", b"y")


def make_deep(directory: Path, depth: int, *, name: str = "d") -> None:
    """Make ``depth`` directories below each other, deeper than a path can say."""
    fd = os.open(directory, OPEN_DIRECTORY)
    try:
        for _ in range(depth):
            os.mkdir(name, dir_fd=fd)
            below = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
    finally:
        os.close(fd)


def open_descriptors() -> set[int]:
    """Return the open descriptors of this process, to hold that none leaks."""
    return {int(name) for name in os.listdir("/proc/self/fd") if _is_open(int(name))}


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False  # that of the listing itself
    return True
