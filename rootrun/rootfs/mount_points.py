"""Mount points: where the image has none, a layer of their own has them.

They stand below the image's layers, so that they never reach the upper. Where
the image deleted such a path in a layer (a whiteout hides what is below), or has
a file there that another file is to be mounted over, they stand above.
"""

from collections.abc import Iterable, Sequence

from rootrun.dataclass import dataclass
from rootrun.errors import SandboxError
from rootrun.layer.entry import EntryPath, EntryType, ancestors
from rootrun.layer.stack import LayerStack
from rootrun.rootfs.extra_layer import ExtraLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """A path that something is mounted on. ``replaces_file``: a symlink there may be covered."""

    path: EntryPath
    is_directory: bool = True
    replaces_file: bool = False


def lay_mount_points(
    points: Iterable[MountPoint], stack: LayerStack, *, below: ExtraLayer, above: ExtraLayer
) -> None:
    """Fill ``below`` and ``above`` with the mount points that the image lacks.

    Raises SandboxError where the image has something else than an ordinary
    directory, or file: nothing is mounted through names that the image chose.
    """
    points = list(points)
    _refuse_conflicts(points)
    for point in points:
        _refuse_odd_ancestors(point, stack)
        found = stack.find(point.path)
        if found is None:
            extra = above if stack.hides_below(point.path) else below
        elif found.entry.type is (EntryType.DIRECTORY if point.is_directory else EntryType.FILE):
            continue
        elif point.replaces_file and found.entry.type is not EntryType.DIRECTORY:
            extra = above
        else:
            wanted = "directory" if point.is_directory else "file"
            raise SandboxError(
                f"mount /{point.path}: not an ordinary {wanted} in the image,"
                f" but a {_word(found.entry.type)}"
            )
        if point.is_directory:
            extra.add_directory(point.path)
        else:
            extra.add_empty_file(point.path)
    below.finish()
    above.finish()


def _refuse_conflicts(points: Sequence[MountPoint]) -> None:
    """Refuse a file and a directory at one path."""
    files = {point.path for point in points if not point.is_directory}
    for point in points:
        directories = [*ancestors(point.path), *([point.path] if point.is_directory else [])]
        for directory in directories:
            if directory in files:
                raise SandboxError(f"mount /{point.path}: /{directory} is to be a file, too")


def _refuse_odd_ancestors(point: MountPoint, stack: LayerStack) -> None:
    for ancestor in ancestors(point.path):
        found = stack.find(ancestor)
        if found is not None and found.entry.type is not EntryType.DIRECTORY:
            raise SandboxError(
                f"mount /{point.path}: /{ancestor} is a {_word(found.entry.type)} in the image"
            )


def _word(kind: EntryType) -> str:
    return kind.name.lower().replace("_", " ")
