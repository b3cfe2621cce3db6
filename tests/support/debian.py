"""A real Debian: the suite of this machine, made by mmdebstrap with the machine's own apt."""

import fcntl
import os
import platform
import subprocess
from pathlib import Path

from tests.support.require import require, require_program

_CACHE = Path(__file__).parent.parent.parent / "build"
_KEYS = ("/usr/share/keyrings", "/etc/ssl/certs")
_LONGEST_BUILD_S = 600


def suite_of_this_machine() -> str:
    """Return the code name in os-release(5); skips on another system than Debian."""
    release = platform.freedesktop_os_release()
    require(release.get("ID") == "debian", "this machine is no Debian")
    return release["VERSION_CODENAME"]


def debian_rootfs() -> Path:
    """Return a tar of a minimal Debian, from build/ if it was made before; needs root."""
    suite = suite_of_this_machine()
    mmdebstrap = require_program("mmdebstrap")
    _CACHE.mkdir(exist_ok=True)
    rootfs = _CACHE / f"debian-{suite}.tar"
    with (_CACHE / ".debian-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest-xdist runs several sessions at once
        if not rootfs.exists():
            unfinished = _CACHE / f".debian-{suite}.tar"
            options = ["--quiet", "--variant=minbase", "--mode=root", "--format=tar"]
            done = subprocess.run(
                [mmdebstrap, *options, suite, unfinished],
                env={**os.environ, "SOURCE_DATE_EPOCH": "1"},
                capture_output=True,
                text=True,
                timeout=_LONGEST_BUILD_S,
                check=False,
            )
            last = done.stderr.strip().rpartition("\n")[2]
            require(done.returncode == 0, f"no Debian mirror is reached: {last}")
            unfinished.replace(rootfs)
    return rootfs


def apt_options() -> list[str]:
    """Return the options that let apt-get of the base work as this machine's does."""
    binds = ["/etc/apt:/etc/apt:ro", *(f"{p}:{p}:ro" for p in _KEYS if os.path.isdir(p))]
    return ["--network", "host", *(word for bind in binds for word in ("--bind", bind))]
