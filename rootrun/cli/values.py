"""Values of options: text to value, or a ValueError that says what is wrong with the text.

Everything here is pure but for the clock (``now``) and the environment (a bare
``K`` of ``--env``); whether a file exists is asked later, by cli/request.py.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path

from rootrun.annotation import TypeVar
from rootrun.errors import UsageError
from rootrun.layer.policy import OwnerRule
from rootrun.request import Bind, CopyIn, Helper, HelperKind

Value = TypeVar("Value")
Owner = tuple[OwnerRule, int, int]

HELPERS = tuple(kind.value for kind in HelperKind)
# What PATH is to be, and one that there is nearly everywhere: none is taken for granted, as the
# image would then depend on the machine.
_PATH_OF_HELPER = {
    HelperKind.CA_CERTIFICATES: ("bundle", "/etc/ssl/certs/ca-certificates.crt, this machine's"),
    HelperKind.BIN_SH: ("shell of the image", "/bin/bash"),
    HelperKind.USR_BIN_ENV: ("env of the image", "/bin/env"),
}
MAX_TIMESTAMP_S = 0o77777777777  # the last that a ustar header holds
MAX_ID = 2**32 - 2  # the last but one: (uid_t)-1 means "leave alone" (chown(2))
MAX_SIZE_BYTES = 2**63 - 1
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RFC3339 = r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)"


def checked(option: str, parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return ``parse`` for argparse; its ValueError becomes a UsageError naming ``option``."""

    def parse_value(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise UsageError(f"{option}: {text!r}: {error}") from None
        except UsageError as error:  # ``what: which: why``, where we know what and which better
            why = str(error).rpartition(": ")[2]
            raise UsageError(f"{option}: {text!r}: {why}", hint=error.hint) from None

    return parse_value


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that accepts ``choices`` only."""

    def parse_choice(text: str) -> str:
        if text not in choices:
            raise ValueError(f"not one of {', '.join(choices)}")
        return text

    return parse_choice


def parse_text(text: str) -> str:
    """Accept what JSON can hold: an argument in another encoding than UTF-8 is refused."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not UTF-8") from None
    return text


def parse_word(text: str) -> str:
    """Accept a text that is not empty."""
    if not parse_text(text):
        raise ValueError("empty")
    return text


def parse_path(text: str) -> Path:
    """Accept any path but the empty one, which pathlib would take for the current directory."""
    if not text:
        raise ValueError("an empty path")
    return Path(text)


def parse_duration(text: str) -> float:
    """Return seconds: ``30``, ``30s``, ``5m``, ``1.5h``, ``1d``, as timeout(1) takes them."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", text, re.ASCII)
    if not match:
        raise ValueError("not a duration")
    seconds = float(match[1]) * _SECONDS[match[2] or "s"]
    if not seconds:
        raise ValueError("not longer than nothing")
    return seconds


def parse_size(text: str) -> int:
    """Return bytes: ``4096``, ``512K``, ``64M``, ``1.5G``, each unit 1024 times the one before."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)([KMGT]?)", text, re.ASCII | re.IGNORECASE)
    if not match:
        raise ValueError("not a size such as 64M or 2G")
    size_bytes = int(float(match[1]) * _BYTES[match[2].upper()])
    if not 0 < size_bytes <= MAX_SIZE_BYTES:
        raise ValueError("not larger than nothing" if not size_bytes else "larger than can be")
    return size_bytes


def parse_amount(text: str) -> float:
    """Return a number above 0, whole or not."""
    if not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text, re.ASCII) or not float(text):
        raise ValueError("not a number above 0")
    return float(text)


def parse_count(text: str) -> int:
    """Return a number of at least one."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not int(text):
        raise ValueError("not a number of at least 1")
    return int(text)


def parse_id(text: str) -> int:
    """Return the number of a user or a group."""
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) > MAX_ID:
        raise ValueError(f"not a number of at most {MAX_ID}")
    return int(text)


def parse_timestamp(text: str) -> int:
    """Return seconds since the epoch, as reproducible-builds.org defines SOURCE_DATE_EPOCH."""
    if not re.fullmatch(r"\d{1,20}", text, re.ASCII):
        raise ValueError("not a number of seconds since 1970")
    if int(text) > MAX_TIMESTAMP_S:
        raise ValueError(f"later than a tar header can say ({MAX_TIMESTAMP_S})")
    return int(text)


def parse_created(text: str) -> str:
    """Return the RFC 3339 date that ``now``, ``@SECONDS`` or such a date means."""
    if text == "now":
        return _rfc3339(int(time.time()))
    if text.startswith("@"):
        return _rfc3339(parse_timestamp(text[1:]))
    match = re.fullmatch(_RFC3339, text, re.ASCII)
    if not match:
        raise ValueError("not now, @SECONDS or a date such as 2024-01-31T12:00:00Z")
    from datetime import datetime

    try:
        datetime.fromisoformat("".join((match[1], "T", match[2], match[3])))
    except ValueError as error:
        raise ValueError(f"no such date: {error}") from None
    return text


def _rfc3339(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse_owner(text: str) -> Owner:
    """Return the rule and, for ``UID:GID``, the ids of ``--owner``."""
    if text in ("root", "keep"):
        return OwnerRule(text), 0, 0
    match = re.fullmatch(r"(\d{1,10}):(\d{1,10})", text, re.ASCII)
    if not match or max(int(match[1]), int(match[2])) > MAX_ID:
        raise ValueError("not root, keep or UID:GID in numbers")
    return OwnerRule.FIXED, int(match[1]), int(match[2])


def parse_absolute(text: str) -> str:
    """Return a path inside the image: absolute, without ``..``, in its shortest spelling."""
    parts = [part for part in parse_text(text).split("/") if part not in ("", ".")]
    if not text.startswith("/"):
        raise ValueError("not an absolute path")
    if ".." in parts:
        raise ValueError("has a .. in it")
    return "/" + "/".join(parts)


def parse_mount_point(text: str) -> str:
    """Return a path inside the image that something can be mounted on."""
    path = parse_absolute(text)
    if path == "/":
        raise ValueError("the root itself is no mount point")
    return path


def parse_bind(text: str) -> Bind:
    """Return the bind that ``SRC:DST[:ro]`` says; ``:rw`` is the default."""
    match = re.fullmatch(r"(.+?):(/[^:]*)(?::(ro|rw))?", text, re.DOTALL)
    if not match:
        raise ValueError("not SRC:DST[:ro] with an absolute DST")
    return Bind(
        source=parse_path(match[1]),
        destination=parse_mount_point(match[2]),
        read_only=match[3] == "ro",
    )


def parse_copy(text: str) -> CopyIn:
    """Return the copy that ``PATH[:DST]`` says; a colon counts only before an absolute DST.

    A slash at the end of DST is kept: it says that DST is a directory.
    """
    source, colon, rest = text.rpartition(":/")
    if not colon:
        return CopyIn(source=parse_path(text))
    destination = parse_absolute("/" + rest)
    slash = "/" if rest.endswith("/") else ""
    return CopyIn(source=parse_path(source), destination=destination + slash)


def parse_helper(text: str) -> Helper:
    """Return the helper that ``NAME[=PATH]`` says."""
    name, equals, path = text.partition("=")
    if name not in HELPERS:
        raise ValueError(f"not one of {', '.join(HELPERS)}")
    kind = HelperKind(name)
    if kind not in _PATH_OF_HELPER:
        if equals:
            raise ValueError(f"{name} takes no value")
        return Helper(kind)
    if not path:
        meaning, example = _PATH_OF_HELPER[kind]
        raise UsageError(f"names no {meaning}", hint=f"as in --with {name}={example}")
    if kind is HelperKind.CA_CERTIFICATES:
        return Helper(kind, path)
    return Helper(kind, parse_absolute(path))
