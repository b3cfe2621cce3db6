"""Store paths, and the ways to spell the hash of one (Nix manual, Store Path, Hashes)."""

import base64
import re

from rootrun.annotation import NewType

STORE = "/nix/store"
StorePath = NewType("StorePath", str)
"""A path right below /nix/store, as ``/nix/store/HASH-NAME``."""

_STORE_PATH = re.compile(rf"{STORE}/[0-9a-df-np-sv-z]{{32}}-[0-9A-Za-z+\-._?=]{{1,211}}")
_BASE_32 = "0123456789abcdfghijklmnpqrsvwxyz"
_SHA256_BYTES = 32
_BASE_32_DIGITS = 52
_HEX = re.compile(r"[0-9a-f]{64}")
_BASE_32_FORM = re.compile(rf"[{_BASE_32}]{{{_BASE_32_DIGITS}}}")
_BASE_64 = re.compile(r"[0-9A-Za-z+/]{43}=")


def parse_store_path(text: str) -> StorePath:
    """Return ``text``, which must be a store path; raises ValueError."""
    if not _STORE_PATH.fullmatch(text):
        outside = "" if text.startswith(f"{STORE}/") else f", which is below {STORE}"
        raise ValueError(f"{text!r} is no store path{outside}")
    return StorePath(text)


def parse_sha256(text: str) -> str:
    """Return a SHA-256 in hexadecimal digits; raises ValueError.

    Taken are the three forms that Nix has for it: hexadecimal and Nix's own base 32, with
    ``sha256:`` before them or not, and ``sha256-`` with base 64 (SRI).
    """
    digits = text.removeprefix("sha256:")
    if _HEX.fullmatch(digits):
        return digits
    if _BASE_32_FORM.fullmatch(digits):
        return _from_base_32(digits).hex()
    sri = text.removeprefix("sha256-")
    if sri != text and _BASE_64.fullmatch(sri):
        return base64.b64decode(sri).hex()
    raise ValueError(f"{text!r} is no SHA-256")


def base_32_of(digest: bytes) -> str:
    """Return a SHA-256 in Nix's own base 32, without ``sha256:``."""
    number = int.from_bytes(digest, "little")
    digits = (number >> 5 * place & 31 for place in reversed(range(_BASE_32_DIGITS)))
    return "".join(_BASE_32[digit] for digit in digits)


def _from_base_32(digits: str) -> bytes:
    """Decode Nix's base 32: the last digit has the lowest bits, of the first byte."""
    number = 0
    for digit in digits:
        number = number << 5 | _BASE_32.index(digit)
    if number >> 8 * _SHA256_BYTES:
        raise ValueError(f"{digits!r} is no SHA-256")
    return number.to_bytes(_SHA256_BYTES, "little")
