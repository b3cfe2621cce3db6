"""Tar archives for tests, built by the standard library's tarfile, not by our own writer.

``tarball(directory("etc"), file("etc/hosts", b"x"), whiteout("etc/passwd"))`` is the bytes of
a layer. Names go in as they are given: ``../x``, ``/x`` and ``./x`` too.
"""

import tarfile
from collections.abc import Mapping
from typing import Literal, NamedTuple

BLOCK_BYTES = 512
END = bytes(2 * BLOCK_BYTES)

TarFormat = Literal[0, 1, 2]  # tarfile.USTAR_FORMAT, GNU_FORMAT, PAX_FORMAT


class Member(NamedTuple):
    """One entry; what it holds is open to change before ``tarball`` writes it."""

    header: tarfile.TarInfo
    content: bytes = b""


def tarball(
    *entries: Member | bytes, tar_format: TarFormat = tarfile.PAX_FORMAT, end: bytes = END
) -> bytes:
    """Return an archive of ``entries`` in the order given.

    ``bytes`` among them go in raw: a header block made by hand, for example.
    ``end=b""`` leaves the two zero blocks out.
    """
    return b"".join((*(_blocks(entry, tar_format) for entry in entries), end))


def _blocks(entry: Member | bytes, tar_format: TarFormat) -> bytes:
    if isinstance(entry, bytes):
        return entry
    header = entry.header.tobuf(tar_format, "utf-8", "surrogateescape")
    return header + padded(entry.content)


def padded(content: bytes) -> bytes:
    """Return ``content`` filled up with zeros to whole blocks."""
    return content + bytes(-len(content) % BLOCK_BYTES)


def file(
    name: str,
    content: bytes = b"",
    mode: int = 0o644,
    *,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 0,
    xattrs: Mapping[str, bytes] | None = None,
    pax: Mapping[str, str] | None = None,
) -> Member:
    """Return a regular file."""
    member = _member(name, tarfile.REGTYPE, mode, uid=uid, gid=gid, mtime=mtime)
    member.header.size = len(content)
    member.header.pax_headers = _pax_headers(xattrs, pax)
    return member._replace(content=content)


def directory(
    name: str,
    mode: int = 0o755,
    *,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 0,
    xattrs: Mapping[str, bytes] | None = None,
    pax: Mapping[str, str] | None = None,
) -> Member:
    """Return a directory; ``"."`` is the root."""
    member = _member(name, tarfile.DIRTYPE, mode, uid=uid, gid=gid, mtime=mtime)
    member.header.pax_headers = _pax_headers(xattrs, pax)
    return member


def symlink(
    name: str, target: str, *, uid: int = 0, gid: int = 0, mtime: int = 0, mode: int = 0o777
) -> Member:
    """Return a symbolic link; ``target`` is verbatim."""
    member = _member(name, tarfile.SYMTYPE, mode, uid=uid, gid=gid, mtime=mtime)
    member.header.linkname = target
    return member


def hardlink(name: str, target: str, mode: int = 0o644, *, mtime: int = 0) -> Member:
    """Return a hard link to the entry ``target`` of this or a lower layer."""
    member = _member(name, tarfile.LNKTYPE, mode, mtime=mtime)
    member.header.linkname = target
    return member


def device(
    name: str,
    major: int,
    minor: int,
    *,
    kind: str = "char",
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 0,
) -> Member:
    """Return a device node; ``kind`` is ``"char"`` or ``"block"``."""
    type_flag = {"char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE}[kind]
    member = _member(name, type_flag, mode, uid=uid, gid=gid, mtime=mtime)
    member.header.devmajor, member.header.devminor = major, minor
    return member


def fifo(name: str, mode: int = 0o644, *, uid: int = 0, gid: int = 0, mtime: int = 0) -> Member:
    """Return a named pipe."""
    return _member(name, tarfile.FIFOTYPE, mode, uid=uid, gid=gid, mtime=mtime)


def whiteout(path: str) -> Member:
    """Return the marker that removes ``path`` of the layers below."""
    directory_name, slash, name = path.rpartition("/")
    return file(f"{directory_name}{slash}.wh.{name}")


def opaque(path: str) -> Member:
    """Return the marker that hides what the layers below have in the directory ``path``."""
    return file(f"{path}/.wh..wh..opq" if path else ".wh..wh..opq")


def _member(
    name: str, type_flag: bytes, mode: int, *, uid: int = 0, gid: int = 0, mtime: int = 0
) -> Member:
    header = tarfile.TarInfo(name)
    header.type, header.mode, header.mtime = type_flag, mode, mtime
    header.uid, header.gid = uid, gid
    return Member(header)


def _pax_headers(
    xattrs: Mapping[str, bytes] | None, pax: Mapping[str, str] | None
) -> dict[str, str]:
    headers = dict(pax or {})
    for name, value in (xattrs or {}).items():
        headers[f"SCHILY.xattr.{name}"] = value.decode("utf-8", "surrogateescape")
    return headers
