"""Debian packages to install without a network: what a minimal Debian lacks of some programs.

They are downloaded once, by the machine's own apt, into a repository below build/. Bind it to
``/repo`` in a container; a script then exports ``APT_CONFIG=/repo/apt.conf``.
"""

import fcntl
import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

from tests.support.debian import debian_rootfs, suite_of_this_machine
from tests.support.require import require

SERVICES = ("openssh-server", "cron", "dbus", "man-db", "nginx-light", "postgresql", "sudo")
TOOLS = ("rsync", "git", "npm", "python3-pip", "rpm", "dnf", "libcap2-bin", "acl")
EXAMPLES = ("curl", "nginx-light", "openssh-server", "postgresql", "runit")

_CACHE = Path(__file__).parent.parent.parent / "build"
_LONGEST_DOWNLOAD_S = 600
_CONFIGURATION = """\
Dir::Etc::SourceList "/repo/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Install-Recommends "false";
Acquire::Languages "none";
"""


def package_repository(wanted: tuple[str, ...] = (*SERVICES, *TOOLS)) -> Path:
    """Return a repository of the packages and what they need beside a minimal Debian.

    It is made below build/ if it was not before, which takes root and apt's lists.
    """
    suite = suite_of_this_machine()
    name = hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:8]
    repository = _CACHE / f"packages-{suite}-{name}"
    rootfs = debian_rootfs()
    with (_CACHE / ".packages-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest-xdist runs several sessions at once
        if not repository.exists():
            unfinished = _CACHE / f".packages-{suite}-{name}"
            (unfinished / "partial").mkdir(parents=True, exist_ok=True)
            _download(wanted, installed=rootfs, target=unfinished)
            _write_index(unfinished)
            unfinished.rename(repository)
    return repository


def offline_options(repository: Path) -> list[str]:
    """Return the options with which a script finds ``repository``, and nothing else."""
    return ["--bind", f"{repository}:/repo:ro"]


def _download(packages: tuple[str, ...], *, installed: Path, target: Path) -> None:
    """Download what ``packages`` need beside what is in the rootfs ``installed``."""
    status = target / "status"
    with tarfile.open(installed) as tar:
        member = tar.extractfile("./var/lib/dpkg/status")
        assert member is not None
        status.write_bytes(member.read())
    places = {"Dir::State::status": status, "Dir::Cache::archives": target}
    options = [f"-o{name}={os.fspath(path)}" for name, path in places.items()]
    options += ["-oAPT::Sandbox::User=root", "-oDebug::NoLocking=1", "--no-install-recommends"]
    done = subprocess.run(
        ["apt-get", "install", "--download-only", "--yes", "--quiet", *options, *packages],
        capture_output=True,
        text=True,
        timeout=_LONGEST_DOWNLOAD_S,
        check=False,
    )
    last = done.stderr.strip().rpartition("\n")[2]
    require(done.returncode == 0, f"packages cannot be downloaded: {last}")
    status.unlink()
    (target / "partial").rmdir()


def _write_index(repository: Path) -> None:
    """Write what apt reads of a flat repository, sources.list(5)."""
    stanzas = []
    for package in sorted(repository.glob("*.deb")):
        control = subprocess.run(
            ["dpkg-deb", "--field", package], capture_output=True, text=True, check=True
        )
        content = package.read_bytes()
        stanzas.append(
            f"{control.stdout.strip()}\nFilename: ./{package.name}\nSize: {len(content)}\n"
            f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
        )
    (repository / "Packages").write_text("\n".join(stanzas))
    (repository / "sources.list").write_text("deb [trusted=yes] file:/repo ./\n")
    (repository / "apt.conf").write_text(_CONFIGURATION)
