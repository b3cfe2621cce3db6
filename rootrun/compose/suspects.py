"""What makes two runs differ, told by the path or by what is there, and what to do about it."""

import re
import struct
import time
from collections.abc import Iterator

from rootrun.layer.entry import EntryPath

# What installing packages leaves behind. The first that matches the whole path counts.
_SUSPECTS = (
    (r"var/cache/ldconfig/.*", "ldconfig's cache has inode numbers and times: remove it"),
    (
        r".*\.py[co]",
        "compiled Python has its source's time: PYTHONDONTWRITEBYTECODE=1 leaves it out",
    ),
    (r"var/log/.*", "a log: empty or remove it"),
    (r"var/(lib|cache)/apt/.*", "apt's lists and caches: apt-get clean, or remove them"),
    (r"var/cache/debconf/.*", "debconf's cache: remove the -old files"),
    (r"var/cache/man/.*", "the index of manual pages has times: remove it"),
    (r"var/cache/fontconfig/.*", "fontconfig's cache has times: remove it"),
    (r"var/(lib|cache)/(dnf|yum|rpm)/.*", "the package manager's database has times: remove it"),
    (r"etc/(g?shadow|passwd|group)-?", "the day of a password's change: set SOURCE_DATE_EPOCH"),
    (r"etc/ssh/ssh_host_.*", "a key of this host: remove it, and make it at the first start"),
    (r"etc/machine-id|var/lib/dbus/machine-id", "the id of this machine: empty it"),
    (r"etc/ssl/private/.*", "a key of this host: remove it"),
    (r"(tmp|var/tmp|run)/.*", "a temporary file: remove it, or mount a --tmpfs there"),
    (r"(.*/)?\.(cache|npm)/.*", "a cache of a user: remove it"),
    (r"(.*/)?\.git/(index|logs/.*)", "git's index and logs have times: remove them"),
    (r".*\.(gz|tgz|zip|jar|whl)", "archives have times: gzip -n, or SOURCE_DATE_EPOCH"),
)
_TIME = "a time: write none, or that of SOURCE_DATE_EPOCH"
_DAY_S = 86400
# No part of a key's fingerprint, or of a hardware address.
_CLOCK = re.compile(rb"(?<![\da-fA-F:])\d\d:\d\d(?::\d\d)?(?![\da-fA-F:])")
_NUMBER = re.compile(rb"\d{10,}")
_DECIMAL_DIGITS = 10  # of seconds since the epoch; what follows are fractions
_OCTAL_DIGITS = 11  # of the same in a tar header


def remark_on_path(path: EntryPath) -> str:
    """Return what is known to differ at ``path``, "" if nothing is."""
    return next((remark for pattern, remark in _SUSPECTS if re.fullmatch(pattern, path)), "")


def remark_on_content(one: bytes, other: bytes) -> str:
    """Return what two excerpts, of the same place in both runs, look like; "" if like nothing."""
    if _CLOCK.findall(one) != _CLOCK.findall(other):
        return _TIME
    now_s = int(time.time())
    times = [
        {value for value in _seconds(excerpt) if abs(value - now_s) < _DAY_S}
        for excerpt in (one, other)
    ]
    return _TIME if all(times) and times[0] != times[1] else ""


def _seconds(excerpt: bytes) -> Iterator[int]:
    """Yield what may be seconds since the epoch: decimal, octal, or binary with 32 bits."""
    for number in _NUMBER.findall(excerpt):
        yield int(number[:_DECIMAL_DIGITS])
        if len(number) == _OCTAL_DIGITS and not set(number) & set(b"89"):
            yield int(number, 8)
    for offset in range(len(excerpt) - 3):
        yield from struct.unpack_from("<I", excerpt, offset)
        yield from struct.unpack_from(">I", excerpt, offset)
