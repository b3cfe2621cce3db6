"""rootrun, its peers and the floor by hand: each makes a docker-archive of another and a script."""

import json
import os
import shutil
import signal
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from benchmarks.bases import Base, Packing, docker_archive_of
from benchmarks.timing import Run, last_line, timed
from tests.support.packages import offline_options, package_repository
from tests.support.program import installation, remove_installation
from tests.support.public import make_public_directory
from tests.support.removers import removers
from tests.support.users import Account, processes_of, sweep_dead_sessions, temporary_account

_SHORT_S = 0.01
_SCRIPTS = Path(__file__).parent / "scripts"
_PACKAGES = ("cron", "dbus", "git", "rsync")
_TAR_OPTIONS: Mapping[Packing, str] = {"plain": "", "gzip": "--gzip", "zstd": "--zstd"}


class Contender(NamedTuple):
    """A program that does the whole job, or a shell script in scripts/contenders around some."""

    name: str
    programs: tuple[str, ...] = ()
    script: str = ""  # empty: rootrun itself
    keeps: bool = False  # something from one run for the next

    def why_not(self) -> str:
        """Return what is not installed, or nothing."""
        missing = [program for program in self.programs if shutil.which(program) is None]
        return f"{' and '.join(missing)} is not installed" if missing else ""


ROOTRUN = Contender("rootrun", keeps=True)
BY_HAND = Contender("by hand", ("unshare", "jq"), "hand.sh", keeps=True)
PEERS = (
    Contender("buildah", ("buildah",), "buildah.sh", keeps=True),
    Contender("podman", ("podman", "runc"), "podman.sh", keeps=True),
    Contender("umoci", ("umoci", "skopeo", "runc", "jq"), "umoci.sh", keeps=True),
    Contender("charliecloud", ("ch-run", "jq"), "charliecloud.sh"),
    Contender("proot", ("proot", "jq"), "proot.sh"),
)
CONTENDERS = (ROOTRUN, BY_HAND, *PEERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """An account with subordinate ids, and what it can read."""

    account: Account
    public: Path  # scripts/, repository/ and bases

    @property
    def output(self) -> Path:
        """The archive that each run writes."""
        return self.account.home / "out.tar"

    def place_base(self, base: Base, packing: Packing) -> Path:
        """Return the archive of ``base`` where the account can read it."""
        archive = docker_archive_of(base, packing)
        placed = self.public / archive.name
        if not placed.exists():
            shutil.copy(archive, placed)
        return placed

    def run(
        self, contender: Contender, archive: Path, *, packing: Packing, script: str, work: Path
    ) -> Run:
        """Run one of the scripts in ``archive``; ``work`` is where it keeps things."""
        self.output.unlink(missing_ok=True)
        path, repository = self.public / "scripts" / script, self.public / "repository"
        argv: list[str | Path]
        if contender.script:
            place = self.public / "scripts/contenders" / contender.script
            argv = ["sh", "-e", place, archive, self.output, path, work]
        else:
            program = installation() / "bin" / "rootrun"
            argv = [program, "-q", "--from", archive, "-o", self.output, "--script", path]
            argv += ["--cache-dir", work / "cache", *offline_options(repository)]
        env = {
            "REPOSITORY": os.fspath(repository),
            "TAR_OPTION": _TAR_OPTIONS[packing],
            "TMPDIR": os.fspath(work),
        }
        run = timed(argv, account=self.account, env=env)
        while removers():  # what goes on after a run must not be in the way of the next
            time.sleep(_SHORT_S)
        return run

    @contextmanager
    def work_directory(self) -> Iterator[Path]:
        """Make an empty directory; at the end what runs there is killed, and all of it removed."""
        # podman takes no path of more than 50 characters.
        work = Path(tempfile.mkdtemp(prefix="w", dir=self.account.home))
        self.account.own(work)
        try:
            yield work
        finally:
            for pid in processes_of(self.account):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(work)


@contextmanager
def temporary_arena() -> Iterator[Arena]:
    """Make an arena; needs root. At the end no account, process or file of it is left."""
    if os.geteuid() != 0:
        raise SystemExit("bench: making an account to measure as needs root")
    sweep_dead_sessions()
    with ExitStack() as cleanup:
        cleanup.callback(remove_installation)
        account = cleanup.enter_context(temporary_account("bench", subids=True))
        public = make_public_directory("arena")
        cleanup.callback(shutil.rmtree, public)
        scripts = Path(shutil.copytree(_SCRIPTS, public / "scripts"))
        # Not by the environment: not every contender passes one on.
        install = (scripts / "packages.sh").read_text()
        (scripts / "install.sh").write_text(f"PACKAGES='{' '.join(_PACKAGES)}'\n{install}")
        shutil.copytree(package_repository(), public / "repository")
        yield Arena(account=account, public=public)


def fault(run: Run, output: Path, *, makes: str) -> str:
    """Return why a run does not count, or nothing; its uppermost layer has to have ``makes``."""
    if run.status:
        said = "\n".join(line for line in run.stderr.splitlines() if ": hint: " not in line)
        return f"status {run.status}: {last_line(said)}"
    try:
        with tarfile.open(output) as archive:
            (image,) = json.load(_member(archive, "manifest.json"))
            with tarfile.open(fileobj=_member(archive, image["Layers"][-1])) as layer:
                names = {name.removeprefix("./") for name in layer.getnames()}
    except (OSError, tarfile.TarError, LookupError, ValueError) as error:
        return f"no image: {error}"
    return f"{makes} is not in the layer" if makes and makes not in names else ""


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    member = archive.extractfile(name)
    if member is None:
        raise LookupError(name)
    return member
