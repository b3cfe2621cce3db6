"""SHA-256 of what may be small, without the library of all hashes.

``hashlib`` loads OpenSSL, which takes as long as Python's own SHA-256 does for half a
megabyte. A warm run hashes some kilobytes.
"""

from rootrun.annotation import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from hashlib import _Hash

_SMALL_BYTES = 1 << 19
_smalls: "list[Callable[[bytes | bytearray | memoryview], _Hash]]" = []


def sha256_of(content: bytes | memoryview) -> str:
    """Return the hexadecimal digits of the SHA-256 of ``content``."""
    return (_small(content) if len(content) <= _SMALL_BYTES else _large(content)).hexdigest()


class Sha256:
    """A SHA-256 in the making, as of ``hashlib``. Keeps the first half megabyte in memory."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._hash: _Hash | None = None

    def update(self, content: bytes | memoryview) -> None:
        """Take the next piece, which may change afterwards."""
        if self._hash is None:
            if len(self._held) + len(content) <= _SMALL_BYTES:
                self._held += content
                return
            self._hash = _large(self._held)
            self._held.clear()
        self._hash.update(content)

    def hexdigest(self) -> str:
        """Return the hexadecimal digits for what was taken so far."""
        return self._hash.hexdigest() if self._hash else _small(self._held).hexdigest()


def _small(content: bytes | bytearray | memoryview) -> "_Hash":
    if not _smalls:  # looked for once: what is missing costs each import a search
        _smalls.append(_own_sha256())
    return _smalls[0](content)


def _own_sha256() -> "Callable[[bytes | bytearray | memoryview], _Hash]":
    # What hashlib itself falls back to; named so from 3.12 on, and missing where a distribution
    # wants all hashes to be OpenSSL's.
    try:
        from _sha2 import sha256
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256
    made: Callable[[bytes | bytearray | memoryview], _Hash] = sha256
    return made


def _large(content: bytes | bytearray | memoryview) -> "_Hash":
    from hashlib import sha256

    return sha256(content)
