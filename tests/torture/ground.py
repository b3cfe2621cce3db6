"""Where rootrun is tortured: one account's directory, and what may be left there afterwards."""

import hashlib
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.image_check import assert_image_valid
from tests.support.program import clean_environment, installation
from tests.support.public import make_public_directory, remove_directory
from tests.support.removers import becomes_empty
from tests.support.tarball import Member, directory, file, hardlink, opaque, symlink, tarball
from tests.support.users import Account, processes_of
from tests.support.workplace import Workplace, busybox_layer

GONE_WITHIN_S = 5.0
HANGS_AFTER_S = 60.0  # on a busy machine; a right run takes some seconds at most
_ERROR = "rootrun: error: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A base, a cache and a scratch directory of ``account``, and how a run on them ends well."""

    account: Account
    path: Path
    arguments: tuple[str, ...]  # of rootrun, without the output
    right: str | None  # digest of the output; None: any valid image
    output_name: str = "out.tar"

    @property
    def output(self) -> Path:
        """Where a run puts its image."""
        return self.path / self.output_name

    @property
    def cache(self) -> Path:
        """The cache of the runs."""
        return self.path / "cache"

    @property
    def scratch(self) -> Path:
        """The directory of the runs' scratch trees."""
        return self.path / "scratch"

    def start(self, *prefix: str) -> subprocess.Popen[bytes]:
        """Start a run, below the program ``prefix`` as root if there is one."""
        account = None if prefix else self.account
        return subprocess.Popen(
            [*prefix, _program(), "-o", self.output_name, *self.arguments],
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            env=clean_environment(self.account),
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def make_cold(self) -> None:
        """Remove the cache."""
        remove_directory(self.cache)

    def wrongs_of_end(self, status: int, errors: str, *, others: tuple[int, ...] = ()) -> list[str]:
        """Return what is wrong with a run that ended with ``status``, and with its output.

        Right are 0 with the right image, and 125 or one of ``others`` with none; 125 is told in
        one line.
        """
        wrongs = []
        told = [line for line in errors.splitlines() if line.startswith(_ERROR)]
        if "Traceback" in errors or "internal error" in errors:
            wrongs.append("an internal error")
        if status not in (0, 125, *others):
            wrongs.append(f"status {status}")
        if status in (0, 125) and len(told) != (status == 125):
            wrongs.append(f"status {status} with {len(told)} error lines")
        if status == 0 or self.output.exists():
            wrongs += self.wrongs_of_output()
        return [f"{wrong}: {errors.strip()}" for wrong in wrongs]

    def wrongs_of_output(self) -> list[str]:
        """Return what is wrong with the output; it has to be there."""
        if not self.output.exists():
            return ["there is no output"]
        if self.right is None:
            try:
                assert_image_valid(self.output)
            except (AssertionError, tarfile.TarError, ValueError) as error:
                return [f"the output is no image: {error}"]
            return []
        return [] if digest_of_file(self.output) == self.right else ["another output"]

    def wrongs_left(self) -> list[str]:
        """Return which processes and files are there and should not be, ``GONE_WITHIN_S`` on."""
        wrongs = []
        if not self._becomes_empty_of_processes():
            wrongs.append(f"processes are left: {processes_of(self.account)}")
        expected = {"base.tar", "cache", "canary", "scratch", self.output_name}
        if names := set(os.listdir(self.path)) - expected:
            wrongs.append(f"files are left: {names}")
        return wrongs

    def wrongs_of_next_run(self) -> list[str]:
        """Run undisturbed, and return what is wrong then; afterwards there is no output."""
        self.output.unlink(missing_ok=True)
        with self.start() as process:
            _, errors = process.communicate(timeout=HANGS_AFTER_S)
        wrongs = self.wrongs_of_end(process.returncode, errors.decode())
        if process.returncode:
            wrongs.append(f"status {process.returncode}: {errors.decode()}")
        if not becomes_empty(self.scratch):
            wrongs.append(f"scratch is left: {os.listdir(self.scratch)}")
        self.output.unlink(missing_ok=True)
        return [f"in the next run: {wrong}" for wrong in wrongs]

    def wrongs_of_cache(self) -> list[str]:
        """Return what ``rootrun cache verify`` has against the cache."""
        argv = [_program(), "cache", "verify", "--cache-dir", os.fspath(self.cache)]
        account = self.account
        done = subprocess.run(
            argv,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            env=clean_environment(account),
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=HANGS_AFTER_S,
            check=False,
        )
        told = (done.stdout + done.stderr).strip()
        return [f"the cache: {told}"] if done.returncode else []

    def _becomes_empty_of_processes(self) -> bool:
        deadline_s = time.monotonic() + GONE_WITHIN_S
        while processes_of(self.account):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.01)
        return True


@contextmanager
def open_ground(
    account: Account, *options: str, command: tuple[str, ...] = ("mkdir", "/made")
) -> Iterator[Ground]:
    """Make the ground of ``account``, on which ``command`` is run in a base of two layers."""
    path = make_public_directory("ground")
    try:
        place = Workplace(path=path, account=account)
        place.own(path)
        place.base("base.tar", busybox_layer(), tarball(*_second_layer()))
        (path / "scratch").mkdir()
        place.own(path / "scratch")
        places = ("--from", "base.tar", "--cache-dir", "cache", "--tmpdir", "scratch")
        arguments = (*places, *options, "--", *command)
        ground = Ground(account=account, path=path, arguments=arguments, right="")
        with ground.start() as process:
            _, errors = process.communicate(timeout=HANGS_AFTER_S)
        assert process.returncode == 0, errors.decode()
        right = digest_of_file(ground.output)
        ground.output.unlink()
        yield replace(ground, right=right)
    finally:
        remove_directory(path)


def _program() -> str:
    return os.fspath(installation() / "bin" / "rootrun")


def digest_of_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 digest of a file's content."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _second_layer() -> tuple[Member, ...]:
    """Return a bit of everything: what unpacking has branches for."""
    return (
        directory("opt", mode=0o700),
        file("opt/long", b"content" * 20_000, uid=5),
        file("opt/set-id", b"x", mode=0o4755),
        hardlink("opt/again", "opt/long"),
        symlink("opt/link", "long"),
        file("opt/attributed", b"x", xattrs={"user.name": b"value"}),
        directory("home"),
        opaque("home"),
        file("etc/.wh.group"),
    )
