"""Small documents of the cache: JSON behind a line by which damage is found."""

import json
import zlib

from rootrun.errors import StoreError


def sealed(kind: str, document: object) -> bytes:
    """Return ``document`` as a file's content; ``kind`` names what it is, and in which version."""
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return _head(kind, body) + body


def unsealed(kind: str, content: bytes) -> bytes:
    """Return the JSON that ``sealed`` wrote; raise StoreError if it is another kind, or damaged."""
    head, newline, body = content.partition(b"\n")
    if head + newline != _head(kind, body):
        raise StoreError(f"read cache: {kind}: is damaged")
    return body


def _head(kind: str, body: bytes) -> bytes:
    return b"%b %08x\n" % (kind.encode("ascii"), zlib.crc32(body))
