"""How many processes can compute at a time, for what is worth dividing."""

import os
from pathlib import Path

from rootrun.sandbox.cgroup import own_group


def available_cores() -> int:
    """Return how many cores this process may use: by its affinity, and by its control groups.

    Of a part of a core (cpu.max, cgroup-v2.rst) nobody has use: it is left out, beyond the first.
    """
    count = len(os.sched_getaffinity(0))
    own, _ = own_group()
    if own is not None:
        count = min(count, *(_quota(group, count) for group in (own, *own.parents)))
    return max(1, count)


def _quota(group: Path, count: int) -> int:
    """Return how many whole cores ``group`` has, ``count`` where it sets no limit."""
    try:
        quota_us, period_us = (group / "cpu.max").read_text().split()
    except (OSError, ValueError):  # the root group has no such file
        return count
    return count if quota_us == "max" else int(quota_us) // int(period_us)
