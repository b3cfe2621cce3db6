"""An initramfs, which is a cpio archive in the format "newc" (initramfs-buffer-format.rst)."""

_MAGIC = "070701"
_BLOCK_BYTES = 512


class Cpio:
    """An archive in the making; everything belongs to root."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._count = 0

    def directory(self, name: str) -> None:
        """Add a directory."""
        self._add(name, 0o040755)

    def file(self, name: str, content: bytes, *, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._add(name, 0o100000 | mode, content)

    def symlink(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(name, 0o120777, target.encode())

    def character_device(self, name: str, major: int, minor: int) -> None:
        """Add a character device: the console has to be there before anything can make it."""
        self._add(name, 0o020600, rdev=(major, minor))

    def finished(self) -> bytes:
        """Return the archive."""
        self._add("TRAILER!!!", 0)
        return bytes(self._content) + bytes(-len(self._content) % _BLOCK_BYTES)

    def _add(
        self, name: str, mode: int, content: bytes = b"", rdev: tuple[int, int] = (0, 0)
    ) -> None:
        self._count += 1
        path = name.encode() + b"\0"
        # inode, mode, uid, gid, links, mtime, size, device, its number, the name's length, no sum
        fields = (self._count, mode, 0, 0, 1, 0, len(content), 0, 0, *rdev, len(path), 0)
        self._content += _MAGIC.encode() + b"".join(b"%08X" % field for field in fields) + path
        self._pad()
        self._content += content
        self._pad()

    def _pad(self) -> None:
        self._content += bytes(-len(self._content) % 4)
