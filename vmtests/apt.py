"""Debian's packages of any suite, by the machine's own mirror, beside the machine's own apt.

Lists, cache and state lie below the cache of the virtual machines. The mirror is read from the
machine's sources when it is needed.
"""

import os
import re
import subprocess
from functools import cache
from pathlib import Path

from vmtests.place import CACHE, MissingPieceError, needed, needed_program

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_TIMEOUT_S = 300


def source_line(suite: str) -> str:
    """Return the line of sources.list(5) for ``suite`` on the machine's mirror."""
    return f"deb [signed-by={_KEYRING}] {_mirror()} {suite} main"


def download(meta_package: str, *, suite: str, into: Path) -> Path:
    """Download the package that ``meta_package`` of ``suite`` depends on by version.

    Kernels are called after their versions, which change with each point release.
    """
    options = _updated(suite)
    shown = _run("apt-cache", *options, "show", "--no-all-versions", meta_package)
    depends = re.search(r"^Depends: (linux-image-\S+)", shown, re.MULTILINE)
    needed(depends, f"{meta_package} of {suite} names no kernel")
    package = depends[1] if depends else meta_package
    _run("apt-get", *options, "download", package, cwd=into)
    (archive,) = into.glob("*.deb")
    return archive


def _mirror() -> str:
    needed_program("apt-get", "apt")
    made_by_debian = ("indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian")
    uris = _run("apt-get", *made_by_debian).split()
    needed(uris, "apt of this machine has no mirror of Debian, or no lists of it")
    return uris[0]


@cache
def _updated(suite: str) -> tuple[str, ...]:
    """Return the options of a private apt that knows ``suite``."""
    base = CACHE / "apt" / suite
    for name in ("lists/partial", "cache/archives/partial"):
        (base / name).mkdir(parents=True, exist_ok=True)
    (base / "sources.list").write_text(source_line(suite) + "\n")
    (base / "status").touch()
    options = (
        f"-oDir::Etc::SourceList={base}/sources.list",
        "-oDir::Etc::SourceParts=/dev/null",
        f"-oDir::State::Lists={base}/lists",
        f"-oDir::State::status={base}/status",
        f"-oDir::Cache={base}/cache",
        "-oAPT::Sandbox::User=root",
        "-oAPT::Update::Error-Mode=any",
        "-oAcquire::Languages=none",
    )
    _run("apt-get", *options, "update", "--quiet")
    return options


def _run(*argv: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise MissingPieceError(f"{argv[0]}: {last}")
    return done.stdout
