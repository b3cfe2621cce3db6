"""Where a run keeps its cache and its scratch tree (XDG base directory specification)."""

import os
from pathlib import Path

from rootrun.errors import UsageError
from rootrun.request import Scratch

CACHE_VARIABLE = "ROOTRUN_CACHE"


def scratch_of(*, cache: Path | None, no_cache: bool, tmpdir: Path | None, keep: bool) -> Scratch:
    """Return the places that the options name, else those of the environment."""
    return Scratch(
        cache_directory=None if no_cache else cache_directory(cache),
        scratch_parent=scratch_parent(tmpdir),
        keep_on_failure=keep,
    )


def cache_directory(option: Path | None) -> Path | None:
    """Return the cache, absolute; None where the user has no home to keep one in."""
    named = option or os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(os.path.abspath(named))
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    if xdg.startswith("/"):  # a relative one is to be ignored, says the specification
        return Path(xdg, "rootrun")
    home = os.environ.get("HOME") or _home_of_account()
    return Path(home, ".cache", "rootrun") if home and home.startswith("/") else None


def _home_of_account() -> str | None:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a uid without an account, as containers and Nix builds have them
        return None


def scratch_parent(option: Path | None) -> Path | None:
    """Return where to make the scratch tree, None to leave it to the store.

    Raises UsageError if ``--tmpdir`` is no directory. A TMPDIR that is none is
    passed over, as mktemp(3) does.
    """
    if option is None:
        named = os.environ.get("TMPDIR", "")
        return Path(os.path.abspath(named)) if os.path.isdir(named) else None
    if not option.is_dir():
        why = "Not a directory" if option.exists() else "No such file or directory"
        raise UsageError(f"--tmpdir: {os.fspath(option)!r}: {why}")
    return option.absolute()
