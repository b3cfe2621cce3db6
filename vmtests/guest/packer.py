"""What a script changed, as a layer: two trees compared path by path, by the standard library.

The oracle of the tests: it shares no code and no method with rootrun. It knows nothing of
overlays, it looks at the tree before and the tree after. Runs in a guest, as root.
"""

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

_MTIME = 1
_WHITEOUT = b".wh."
_FLAGS = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
}
sys.setrecursionlimit(20_000)


class Node(NamedTuple):
    """All that a layer says of a path, and by what a file is known to be untouched."""

    flag: bytes
    mode: int
    uid: int
    gid: int
    rdev: tuple[int, int]
    target: bytes
    xattrs: tuple[tuple[bytes, bytes], ...]
    size: int
    key: tuple[int, int]  # inode and time of its last change


class Tree(NamedTuple):
    """A mounted tree, as it was at one time."""

    root: bytes
    nodes: Mapping[bytes, Node]  # by path, b"" is the root
    names: Mapping[bytes, list[bytes]]  # of each directory


def tree(root: str) -> Tree:
    """Return what is at ``root``, sockets and names of whiteouts left out."""
    nodes: dict[bytes, Node] = {}
    names: dict[bytes, list[bytes]] = {}
    base = os.fsencode(root)
    waiting = [b""]
    nodes[b""] = _node(base)
    while waiting:
        here = waiting.pop()
        names[here] = []
        for name in sorted(os.listdir(base + b"/" + here)):
            path = here + b"/" + name if here else name
            full = base + b"/" + path
            if stat.S_ISSOCK(os.lstat(full).st_mode) or name.startswith(_WHITEOUT):
                continue
            nodes[path] = _node(full)
            names[here].append(name)
            if nodes[path].flag == b"5":
                waiting.append(path)
    return Tree(base, nodes, names)


def _node(path: bytes) -> Node:
    status = os.lstat(path)
    flag = _FLAGS[stat.S_IFMT(status.st_mode)]
    rdev = (os.major(status.st_rdev), os.minor(status.st_rdev)) if flag in b"34" else (0, 0)
    names = os.listxattr(path, follow_symlinks=False) if flag in b"05" else []
    kept = [n for n in names if n == "security.capability" or n.startswith("user.")]
    return Node(
        flag=flag,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        rdev=rdev,
        target=os.readlink(path) if flag == b"2" else b"",
        xattrs=tuple(sorted((os.fsencode(n), os.getxattr(path, n)) for n in kept)),
        size=status.st_size if flag == b"0" else 0,
        key=(status.st_ino, status.st_ctime_ns),
    )


class Packer:
    """Writes the layer that makes ``after`` of ``before``; ``keeps_owners`` as --owner keep."""

    def __init__(self, before: Tree, after: Tree, *, keeps_owners: bool, to: BinaryIO) -> None:
        self._before = before
        self._after = after
        self._keeps_owners = keeps_owners
        self._write = to.write
        self._above: list[bytes] = []  # unchanged directories on the way, not yet written

    def pack(self) -> None:
        """Write the layer."""
        if self._is_changed(b""):
            self._entry(b"", self._after.nodes[b""], is_change=True)
        self._directory(b"")
        self._write(bytes(1024))

    def _directory(self, here: bytes) -> None:
        names = self._after.names[here]
        old = self._before.nodes.get(here)
        gone = set(self._before.names[here]) - set(names) if old and old.flag == b"5" else set()
        for name in sorted(gone):
            self._flush()
            self._write(_header(_join(here, _WHITEOUT + name), _REMOVED))
        for name in names:
            path = _join(here, name)
            node = self._after.nodes[path]
            is_change = self._is_changed(path)
            if is_change:
                self._flush()
                self._entry(path, node, is_change=True)
            if node.flag == b"5":
                if not is_change:
                    self._above.append(path)
                self._directory(path)
                if not is_change and self._above:
                    self._above.pop()

    def _flush(self) -> None:
        for path in self._above:
            self._entry(path, self._before.nodes[path], is_change=False)
        self._above.clear()

    def _entry(self, path: bytes, node: Node, *, is_change: bool) -> None:
        if is_change and not self._keeps_owners:
            node = node._replace(uid=0, gid=0)
        self._write(_header(path, node))
        if node.flag == b"0":
            with open(_join(self._after.root, path), "rb") as content:
                while block := content.read(1 << 20):
                    self._write(block)
            self._write(bytes(-node.size % 512))

    def _is_changed(self, path: bytes) -> bool:
        old, new = self._before.nodes.get(path), self._after.nodes[path]
        if old is None or self._compared(old) != self._compared(new):
            return True
        if new.flag != b"0" or old.key == new.key:
            return False
        return _content_differs(_join(self._before.root, path), _join(self._after.root, path))

    def _compared(self, node: Node) -> Node:
        owner = (node.uid, node.gid) if self._keeps_owners else (0, 0)
        return node._replace(uid=owner[0], gid=owner[1], key=(0, 0))


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _content_differs(one: bytes, other: bytes) -> bool:
    with open(one, "rb") as first, open(other, "rb") as second:
        while True:
            block = first.read(1 << 20)
            if block != second.read(1 << 20):
                return True
            if not block:
                return False


_REMOVED = Node(b"0", 0o644, 0, 0, (0, 0), b"", (), 0, (0, 0))


def _header(path: bytes, node: Node) -> bytes:
    """Return the blocks before the content: format 1 of a layer, byte for byte."""
    name = path or b"."
    if node.flag == b"5":
        name += b"/"
    prefix, short, records = _split(name)
    if len(node.target) > 100:
        records.append((b"linkpath", node.target))
    numbers = ((b"size", node.size, 8**11), (b"uid", node.uid, 8**7), (b"gid", node.gid, 8**7))
    records += [(key, b"%d" % value) for key, value, limit in numbers if value >= limit]
    records += [(b"SCHILY.xattr." + key, value) for key, value in node.xattrs]
    block = _block(node, short, prefix)
    if not records:
        return block
    content = b"".join(_records(records))
    base = b"PaxHeaders/" + (path.rpartition(b"/")[2] or b".")
    extended = _REMOVED._replace(flag=b"x", size=len(content))
    return _block(extended, base[:100], b"") + content + bytes(-len(content) % 512) + block


def _split(name: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    if len(name) <= 100:
        return b"", name, []
    for cut in range(min(155, len(name) - 2), 0, -1):  # the longest prefix that ustar can hold
        if name[cut : cut + 1] == b"/":
            if len(name) - cut - 1 <= 100:
                return name[:cut], name[cut + 1 :], []
            break
    return b"", name[:100], [(b"path", name)]


def _records(records: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    lines = [b" " + key + b"=" + value + b"\n" for key, value in records]
    try:
        b"".join(lines).decode()
    except UnicodeDecodeError:
        lines.insert(0, b" hdrcharset=BINARY\n")
    for line in lines:
        length = len(line) + 1
        while length != len(line) + len(str(length)):
            length += 1
        yield b"%d" % length + line


def _block(node: Node, name: bytes, prefix: bytes) -> bytes:
    fields = [
        name.ljust(100, b"\0"),
        b"%07o\0" % node.mode,
        b"%07o\0" % (node.uid if node.uid < 8**7 else 0),
        b"%07o\0" % (node.gid if node.gid < 8**7 else 0),
        b"%011o\0" % (node.size if node.size < 8**11 else 0),
        b"%011o\0" % _MTIME,
        b" " * 8,
        node.flag,
        node.target[:100].ljust(100, b"\0"),
        b"ustar\x0000",
        (b"" if node.uid else b"root").ljust(32, b"\0"),
        (b"" if node.gid else b"root").ljust(32, b"\0"),
        *(b"%07o\0" % number if node.flag in b"34" else bytes(8) for number in node.rdev),
        prefix.ljust(167, b"\0"),
    ]
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
