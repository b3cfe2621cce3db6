"""What a test needs from the machine: skip with the reason, or fail where all must work."""

import os
import shutil
from pathlib import Path

import pytest

MUST_WORK = os.environ.get("ROOTRUN_MUST_WORK") == "1"
"""Set in CI, where a skip would hide that something was never tested."""


def require(condition: bool, reason: str) -> None:
    """Skip the test with ``reason`` unless ``condition`` holds; under ROOTRUN_MUST_WORK=1 fail."""
    if condition:
        return
    if MUST_WORK:
        pytest.fail(f"ROOTRUN_MUST_WORK=1, but {reason}", pytrace=False)
    pytest.skip(reason)


def require_program(name: str) -> Path:
    """Return the path of the installed program ``name``; skip, or fail, where there is none."""
    found = shutil.which(name)
    require(found is not None, f"{name} is not installed")
    return Path(found or name)
