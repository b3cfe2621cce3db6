"""Containers for tests: a busybox root, and the driver that runs one in its own process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.sandbox.drivers.container import Wanted
from tests.support.program import _interpreter, clean_environment, installation
from tests.support.require import require_program
from tests.support.users import Account

_APPLETS = """
awk cat chmod chown cut echo env false find grep head hostname id ifconfig kill ln ls mkdir mknod
mount ping printf ps pwd readlink rm rmdir seq setsid sh sleep sort stat tail test touch tr true tty
umount unshare wc whoami xargs
"""
TIMEOUT_S = 60

_DRIVER = Path(__file__).parent / "drivers" / "container.py"
_PASSWD = """\
root:x:0:0:root:/root:/bin/sh
app:x:0:0:stands for an id that every map has:/:/bin/sh
daemon:x:1:2:daemon:/:/bin/false
"""
_GROUP = "root:x:0:\nbin:x:2:\nmail:x:8:daemon,app\nstaff:x:50:daemon\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What the driver said, and what the script wrote."""

    answer: dict[str, object]
    output: str

    @property
    def status(self) -> object:
        """The exit status of the last step."""
        assert "error" not in self.answer, self.answer
        return self.answer["exit_status"]

    @property
    def error(self) -> str:
        """The class of the error, and its message."""
        return f"{self.answer['error']}: {self.answer['message']}"


def make_busybox_root(path: Path) -> Path:
    """Make a root with a static busybox, its accounts and its mount points."""
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "mnt"):
        (path / name).mkdir(parents=True)
    (path / "tmp").chmod(0o1777)
    shutil.copy(require_program("busybox"), path / "bin" / "busybox")
    for applet in _APPLETS.split():
        (path / "bin" / applet).symlink_to("busybox")
    (path / "etc" / "passwd").write_text(_PASSWD)
    (path / "etc" / "group").write_text(_GROUP)
    (path / "mnt" / "file").touch()
    (path / "mnt" / "directory").mkdir()
    return path


def scratch_for(account: Account | None, parent: Path) -> Path:
    """Make a scratch directory of the account, or of root."""
    if account is not None:
        return account.new_directory()
    scratch = parent / f"scratch-{len(os.listdir(parent))}"
    scratch.mkdir()
    return scratch


def start(
    wanted: Wanted, *, account: Account | None = None, under: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start the driver; its answer comes on stdout, the script's output on stderr.

    ``under`` is a command line that executes the driver's.
    """
    libraries = os.fspath(installation() / "lib")
    source = f"import sys; sys.path.insert(0, {libraries!r})\n" + _DRIVER.read_text()
    process = subprocess.Popen(
        [*under, os.fspath(_interpreter()), "-I", "-c", source],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env=clean_environment(account) | {"SECRET": "canary"},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # so that a test can take the first lines of the output
    )
    if account is not None:
        for pipe in filter(None, (process.stdout, process.stderr)):
            os.fchown(pipe.fileno(), account.uid, account.gid)  # as if made by the account itself
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(wanted)).encode())
    process.stdin.close()
    process.stdin = None
    return process


def finish(process: subprocess.Popen[bytes]) -> Ran:
    """Wait for the driver and return what it said."""
    try:
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    output = stderr.decode(errors="surrogateescape")
    sys.stderr.write(output)  # pytest shows it if the test fails
    assert process.returncode == 0, output
    return Ran(answer=json.loads(stdout), output=output)
