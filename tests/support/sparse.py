"""Sparse files as the three formats of GNU tar have them, with whatever map is given."""

import tarfile

from tests.support.tarball import Member, file, padded


def format_1(lines: list[int] | bytes, content: bytes, *, size: int) -> Member:
    """Return a sparse file of PAX format 1.0, whose map is ``lines``."""
    text = lines if isinstance(lines, bytes) else b"".join(b"%d\n" % line for line in lines)
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
           "GNU.sparse.realsize": str(size)}  # fmt: skip
    return file("GNUSparseFile.0/sparse", padded(text) + content, pax=pax)


def format_0(sparse_map: str, content: bytes, *, size: int) -> Member:
    """Return a sparse file of PAX format 0.1."""
    pax = {"GNU.sparse.map": sparse_map, "GNU.sparse.size": str(size)}
    return file("sparse", content, pax=pax)


def old_format(parts: list[tuple[int, int]], content: bytes, *, size: int) -> bytes:
    """Return a sparse file of old GNU tar, with as many blocks of map as it takes."""
    fields = [b"%011o\0%011o\0" % part for part in parts]
    header = file("sparse", content).header
    header.type = b"S"
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[386:482] = b"".join(fields[:4]).ljust(96, b"\0")
    block[482] = len(fields) > 4
    block[483:495] = b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    blocks = [bytes(block)]
    for start in range(4, len(fields), 21):
        more = bytes([start + 21 < len(fields)])
        blocks.append(b"".join(fields[start : start + 21]).ljust(504, b"\0") + more + bytes(7))
    return b"".join(blocks) + padded(content)
