"""Digests: the names of content (image-spec 1.1, descriptor.md)."""

import hashlib
import re

from rootrun.annotation import NewType
from rootrun.errors import ImageError

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hexadecimal digits."""

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def parse_digest(text: object, *, where: str) -> Digest:
    """Return ``text`` as a digest; raise ImageError naming ``where`` if it is none.

    Only sha256 is read: it is the one algorithm that every image has
    (descriptor.md makes it mandatory and the others optional).
    """
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise ImageError(f"read image: {where}: not a sha256 digest: {text!r:.100}")
    return Digest(text)


def digest_of(content: bytes) -> Digest:
    """Return the digest of ``content``."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def hex_of(digest: Digest) -> str:
    """Return the 64 hexadecimal digits of ``digest``."""
    return digest.partition(":")[2]
