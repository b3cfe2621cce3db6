"""Other programs that pretend to be root, each run as its manual page says, on one rootfs."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.owners import Entries, entries_of_tar, entries_of_tree
from benchmarks.place import Place
from benchmarks.timing import LONGEST_RUN_S, Run, timed

_APART = [f"--exclude=./{name}/*" for name in ("dev", "proc", "sys", "repo")]
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Peer(Protocol):
    """A program that runs a script in ``rootfs`` as if by root, and may remember owners."""

    @property
    def name(self) -> str:
        """The name for the table."""

    def why_not(self) -> str:
        """Return why it cannot be measured here, or nothing."""

    def unpack(self, place: Place, rootfs: Path) -> None:
        """Unpack the base into ``rootfs``, with what it can remember of owners."""

    def command(self, place: Place, rootfs: Path) -> Sequence[str | Path]:
        """Return the command that runs /script.sh."""

    def entries(self, place: Place, rootfs: Path) -> Entries:
        """Return what it says that is in ``rootfs``."""


@dataclass(frozen=True, slots=True)
class Fakeroot:
    """Debian's fakeroot, in a chroot of a user namespace; its memory is kept from step to step.

    The library is that of this machine, which is the same Debian as the base.
    """

    name: str = "fakeroot"

    def why_not(self) -> str:
        """Return what is not installed."""
        return _not_installed("fakeroot", "unshare")

    def unpack(self, place: Place, rootfs: Path) -> None:
        """Unpack as tar of root does, below fakeroot."""
        state = _state(rootfs)
        _must(place, "fakeroot", "-s", state, "--", *_untar(place, rootfs))
        # Where a program in the chroot looks for what is preloaded.
        (library,) = Path("/usr/lib").glob("*/libfakeroot")
        shutil.copytree(library, rootfs / library.relative_to("/"))

    def command(self, place: Place, rootfs: Path) -> Sequence[str | Path]:
        """Return unshare(1) around mounts around fakeroot around chroot."""
        state = _state(rootfs)
        # fakeroot is inside: unshare(1) would ask it who it is, and map a uid that it is not.
        inside = (
            'mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" && '
            'mount --bind "$2" "$1/repo" && '
            'exec fakeroot -i "$3" -s "$3" -- chroot "$1" /bin/sh -e /script.sh'
        )
        # Its library forgives EPERM alone, and in a user namespace chown(2) gives EINVAL.
        quiet = ("env", "FAKEROOTDONTTRYCHOWN=1")
        mounted = (*quiet, "unshare", "--user", "--map-root-user", "--mount")
        return [*mounted, "sh", "-c", inside, "sh", rootfs, place.repository, state]

    def entries(self, place: Place, rootfs: Path) -> Entries:
        """Return what tar sees below fakeroot."""
        tar: list[str | Path] = ["tar", "-C", rootfs, *_APART, "-cf", "-", "."]
        return _entries_said(place, rootfs, "fakeroot", "-i", _state(rootfs), "--", *tar)


@dataclass(frozen=True, slots=True)
class Proot:
    """PRoot as root, which stops each call by ptrace(2)."""

    name: str = "proot -0"

    def why_not(self) -> str:
        """Return what is not installed."""
        return _not_installed("proot")

    def unpack(self, place: Place, rootfs: Path) -> None:
        """Unpack as tar of a user does: there is nothing that would remember owners."""
        _must(place, *_untar(place, rootfs), "--no-same-owner")

    def command(self, place: Place, rootfs: Path) -> Sequence[str | Path]:
        """Return proot(1) with what the script needs of this machine."""
        binds = ("-b", "/dev", "-b", "/proc", "-b", f"{place.repository}:/repo")
        return ["proot", "-0", "-r", rootfs, *binds, "-w", "/", "/bin/sh", "-e", "/script.sh"]

    def entries(self, place: Place, rootfs: Path) -> Entries:
        """Return what the rootfs's tar sees below proot."""
        tar = ("/bin/tar", "-C", "/", *_APART, "-cf", "-", ".")
        return _entries_said(place, rootfs, "proot", "-0", "-r", rootfs, "-w", "/", *tar)


@dataclass(frozen=True, slots=True)
class Charliecloud:
    """Charliecloud's "root emulation mode seccomp": each call succeeds, and does nothing."""

    ch_run: str = "ch-run"
    name: str = "charliecloud seccomp"

    def why_not(self) -> str:
        """Return what is not installed, or too old."""
        missing = _not_installed(self.ch_run)
        if missing:
            return missing
        asked = subprocess.run(
            [self.ch_run, "--help"],
            env={"USER": "root", "PATH": _PATH},
            capture_output=True,
            text=True,
            check=False,
        )
        old = "the installed ch-run has no --seccomp, which came with 0.32"
        return "" if "--seccomp" in asked.stdout else old

    def unpack(self, place: Place, rootfs: Path) -> None:
        """Unpack as tar of a user does, as ch-image does."""
        _must(place, *_untar(place, rootfs), "--no-same-owner")

    def command(self, place: Place, rootfs: Path) -> Sequence[str | Path]:
        """Return ch-run(1) with the options that ch-image gives it for RUN."""
        options = ("--write", "--seccomp", "--uid=0", "--gid=0", "--private-tmp", "--no-passwd")
        bind = f"--bind={place.repository}:/repo"
        return [self.ch_run, *options, bind, rootfs, "--", "/bin/sh", "-e", "/script.sh"]

    def entries(self, place: Place, rootfs: Path) -> Entries:
        """Return what is on the disk, where the account's ids are root's."""
        return entries_of_tree(rootfs, uid=place.account.uid, gid=place.account.gid)


def peers(ch_run: str) -> list[Peer]:
    """Return all peers, installed or not."""
    return [Charliecloud(ch_run), Fakeroot(), Proot()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a run cost, and what it left."""

    run: Run
    entries: Entries


def try_peer(peer: Peer, place: Place, script: str) -> Tried:
    """Run the text of a script in a fresh rootfs, which is not timed, and look at the result."""
    rootfs = place.account.new_directory() / "rootfs"
    try:
        _make(rootfs, place)
        peer.unpack(place, rootfs)
        _make(rootfs / "repo", place)
        (rootfs / "script.sh").write_text(script)
        command = peer.command(place, rootfs)
        run = timed(command, account=place.account, longest_s=LONGEST_RUN_S)
        return Tried(run=run, entries=peer.entries(place, rootfs))
    finally:
        shutil.rmtree(rootfs.parent)


def _make(directory: Path, place: Place) -> None:
    directory.mkdir()
    place.account.own(directory)


def _untar(place: Place, rootfs: Path) -> list[str | Path]:
    return ["tar", "-C", rootfs, "--exclude=./dev/*", "-xpf", place.debian]


def _entries_said(place: Place, rootfs: Path, *argv: str | Path) -> Entries:
    """Return the entries of the tar that a command, run by the account, writes to its stdout."""
    archive = rootfs.with_name("result.tar")
    with archive.open("wb") as writer:
        subprocess.run(
            argv,
            user=place.account.uid,
            group=place.account.gid,
            extra_groups=[],
            env={"PATH": _PATH, "HOME": os.fspath(place.account.home), "LANG": "C.UTF-8"},
            stdout=writer,
            stderr=subprocess.DEVNULL,  # tar names what the account may not read; it is then absent
            check=False,
        )
    with archive.open("rb") as reader:
        return entries_of_tar(reader)


def _must(place: Place, *argv: str | Path) -> None:
    timed(argv, account=place.account).must_work()


def _state(rootfs: Path) -> Path:
    return rootfs.with_name("fakeroot-state")


def _not_installed(*programs: str) -> str:
    missing = [program for program in programs if shutil.which(program) is None]
    return f"{' and '.join(missing)} is not installed" if missing else ""
