"""Where the root emulation is measured: an account, its images, and runs of rootrun in it."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import Run, timed
from tests.support.debian import debian_rootfs
from tests.support.images import oci_layout
from tests.support.packages import offline_options, package_repository
from tests.support.program import installation, remove_installation
from tests.support.public import make_public_directory
from tests.support.tarball import directory, file, tarball
from tests.support.users import Account, sweep_dead_sessions, temporary_account

_SCRIPTS = Path(__file__).parent / "scripts"
MODES: Mapping[str, tuple[str, ...]] = {
    "subids": ("--idmap", "subids", "--emulate", "off"),
    "record": ("--idmap", "single", "--emulate", "record"),
    "full": ("--idmap", "single", "--emulate", "full"),
}
"""The floor, which has real ids, and the emulation at its two levels for one id."""

_FILES_IN_DIRECTORY = 500
_OWNERS = ((0, 0), (33, 33), (1000, 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The home of ``account``, where the layouts ``debian`` and ``files`` are."""

    account: Account
    repository: Path  # which every account can read
    debian: Path  # the tar of the base, likewise
    scripts: Path  # likewise; /scripts in a container

    def run(
        self, mode: str, script: str, *options: str, base: str = "debian", emulate: str = ""
    ) -> Run:
        """Run one of the scripts in a mode of MODES, or with another level of it.

        The output of the run before is removed, which is not timed.
        """
        self._remove_output()
        levels = ("--emulate", emulate) if emulate else ()
        return timed(
            [
                *(installation() / "bin" / "rootrun", "-q", "--json", "--owner", "keep"),
                *("--from", f"oci:{base}", "-o", "oci:out", "--script", self.scripts / script),
                *(*offline_options(self.repository), "--bind", f"{self.scripts}:/scripts:ro"),
                *(*MODES[mode], *levels, *options),
            ],
            account=self.account,
        ).must_work()

    def layer_of(self, run: Run) -> Path:
        """Return the tar of the layer that the latest ``run`` wrote; the next one removes it."""
        digest = str(json.loads(run.stdout)["layers"][-1]["digest"]).removeprefix("sha256:")
        return self.account.home / "out/blobs/sha256" / digest

    def _remove_output(self) -> None:
        shutil.rmtree(self.account.home / "out", ignore_errors=True)


@contextmanager
def temporary_place(*, files: int) -> Iterator[Place]:
    """Make a place, whose layout ``files`` has ``/tree`` with 1.2 times as many; needs root.

    At the end nothing of it is left: no account, process or file.
    """
    sweep_dead_sessions()
    with ExitStack() as cleanup:
        cleanup.callback(remove_installation)
        account = cleanup.enter_context(temporary_account("bench", subids=True))
        public = make_public_directory("bench")
        cleanup.callback(shutil.rmtree, public)
        repository = Path(shutil.copytree(package_repository(), public / "repository"))
        debian = Path(shutil.copy(debian_rootfs(), public / "debian.tar"))
        scripts = Path(shutil.copytree(_SCRIPTS, public / "scripts"))
        layers = [debian.read_bytes()]
        _give(oci_layout(account.home / "debian", layers), account)
        _give(oci_layout(account.home / "files", [*layers, _tree(files)]), account)
        yield Place(account=account, repository=repository, debian=debian, scripts=scripts)


def _tree(files: int) -> bytes:
    """Return a layer with ``files`` in /tree/many and a fifth as many in /tree/few."""
    members = [directory("tree")]
    for parent, count in (("tree/many", files), ("tree/few", files // 5)):
        members.append(directory(parent))
        for number in range(count):
            place = f"{parent}/{number // _FILES_IN_DIRECTORY}"
            if number % _FILES_IN_DIRECTORY == 0:
                members.append(directory(place))
            uid, gid = _OWNERS[number % len(_OWNERS)]
            members.append(file(f"{place}/{number}", b"", uid=uid, gid=gid))
    return tarball(*members)


def _give(layout: Path, account: Account) -> None:
    for path in (layout, *layout.rglob("*")):
        account.own(path)
