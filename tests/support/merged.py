"""Layers applied one over the other by tarfile and a dict: an independent reader of images.

It knows image-spec's layer.md and nothing of rootrun. Trees are values: what
they say of a path is its kind, mode, owner and content or target.
"""

import io
import stat
import tarfile
from collections.abc import Iterable
from typing import NamedTuple

_PREFIX = ".wh."
_OPAQUE = ".wh..wh..opq"
_KINDS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
}


class Node(NamedTuple):
    """What a tree has at a path; ``content`` is a file's, or a symlink's target."""

    st_mode: int
    content: bytes
    owner: tuple[int, int]

    @property
    def is_directory(self) -> bool:
        """Whether it can have children."""
        return stat.S_ISDIR(self.st_mode)

    def without_owner(self) -> "Node":
        """Return it with the owner 0:0."""
        return self._replace(owner=(0, 0))


Tree = dict[str, Node]


def merged(layers: Iterable[bytes]) -> Tree:
    """Return the tree that ``layers`` make, bottom first."""
    tree: Tree = {}
    for layer in layers:
        tree = _applied(layer, tree)
    return tree


def nodes_of(archive: bytes) -> Tree:
    """Return the entries of a tar by name, those of markers too; hard links are files."""
    nodes: Tree = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            name = member.name.strip("/").removeprefix("./")
            if name not in ("", "."):
                nodes[name] = _node(tar, member)
    return nodes


def _applied(layer: bytes, below: Tree) -> Tree:
    """Return ``below`` with one layer over it; its markers hide what is below only."""
    nodes = nodes_of(layer)
    tree = dict(below)
    for path in nodes:
        directory, _, name = path.rpartition("/")
        if name == _OPAQUE:
            _remove_children(tree, directory)
        elif name.startswith(_PREFIX):
            hidden = f"{directory}/{name.removeprefix(_PREFIX)}".strip("/")
            tree.pop(hidden, None)
            _remove_children(tree, hidden)
    for path, node in nodes.items():
        if not path.rpartition("/")[2].startswith(_PREFIX):
            if not node.is_directory:
                _remove_children(tree, path)
            tree[path] = node
    return tree


def _remove_children(tree: Tree, directory: str) -> None:
    prefix = f"{directory}/" if directory else ""
    for path in [path for path in tree if path.startswith(prefix)]:
        del tree[path]


def _node(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Node:
    target = tar.getmember(member.linkname) if member.islnk() else member
    owner = (target.uid, target.gid)
    kind = _KINDS[target.type]
    if target.issym():
        return Node(kind | 0o777, target.linkname.encode("utf-8", "surrogateescape"), owner)
    file_object = tar.extractfile(target) if target.isreg() else None
    content = file_object.read() if file_object else b""
    return Node(kind | target.mode, content, owner)
