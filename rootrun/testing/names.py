"""Names of machines and networks: what a host name may be (RFC 1123), in lower case."""

import re

from rootrun.errors import UsageError

_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def check_host_name(what: str, name: str) -> str:
    """Return ``name``; raise UsageError, about ``what``, unless a host can have it."""
    if not re.fullmatch(_NAME, name):
        raise UsageError(f"{what}: {name!r}: not a host name of lower-case letters and digits")
    return name
