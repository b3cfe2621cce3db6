"""Digests: the names of content (image-spec 1.1, descriptor.md)."""

from rootrun.annotation import NewType
from rootrun.errors import ImageError
from rootrun.sha256 import sha256_of

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hexadecimal digits."""

_PREFIX = "sha256:"
_DIGITS = frozenset("0123456789abcdef")


def parse_digest(text: object, *, where: str) -> Digest:
    """Return ``text`` as a digest; raise ImageError naming ``where`` if it is none.

    Only sha256 is read: it is the one algorithm that every image has
    (descriptor.md makes it mandatory and the others optional).
    """
    if not isinstance(text, str) or not _is_digest(text):
        raise ImageError(f"read image: {where}: not a sha256 digest: {text!r:.100}")
    return Digest(text)


def digest_of(content: bytes) -> Digest:
    """Return the digest of ``content``."""
    return Digest(_PREFIX + sha256_of(content))


def hex_of(digest: Digest) -> str:
    """Return the 64 hexadecimal digits of ``digest``."""
    return digest.partition(":")[2]


def _is_digest(text: str) -> bool:
    # By hand: each run reads some, and to compile a pattern takes longer.
    digits = text.removeprefix(_PREFIX)
    return len(digits) == 64 and len(text) == 71 and _DIGITS.issuperset(digits)
