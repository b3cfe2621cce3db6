"""The base is copied while it is unpacked, and what was copied is known to be right in the end."""

import fcntl
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from rootrun.store.layer_store import LAYERS
from tests.support.program import clean_environment, installation
from tests.support.tarball import file
from tests.support.traced import traced_run
from tests.support.workplace import Workplace, busybox_layer

pytestmark = [pytest.mark.userns, pytest.mark.root]

CONTENT = b"content that is found again " * 40_000
STOP_LIMIT_S = 60


def _argv(base: str, cache: str) -> list[str]:
    return ["--from", base, "--cache-dir", cache, "-o", "o.tar", "--", "touch", "/x"]


def test_the_base_is_copied_from_before_it_is_unpacked(root_workplace: Workplace) -> None:
    root_workplace.base("base.tar", busybox_layer(file("f", CONTENT)))
    names = "copy_file_range,rename,clone,fork,vfork,clone3,mkdir"
    calls = traced_run(_argv("base.tar", "c"), names, cwd=root_workplace.path)
    copier = next(call.pid for call in calls if call.name == "copy_file_range")
    unpacked = next(n for n, call in enumerate(calls) if ".making" in call.arguments)
    begun = [n for n, call in enumerate(calls) if call.result == copier]
    assert begun
    assert begun[0] < unpacked


def _entry(cache: Path) -> Path:
    """Return the one layer in ``cache``."""
    (entry,) = (path for kind in (cache / LAYERS).iterdir() for path in kind.iterdir())
    return entry


def _wait_for_waiter(lock: int, process: subprocess.Popen[bytes]) -> None:
    inode = f":{os.fstat(lock).st_ino} "
    while not any("->" in x and inode in x for x in Path("/proc/locks").read_text().splitlines()):
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_blob_that_another_run_unpacked_meanwhile_is_read(
    is_damaged: bool, root_workplace: Workplace
) -> None:
    place = root_workplace.path
    base = root_workplace.base("base.tar", busybox_layer(file("f", CONTENT)))
    for cache in ("other", "c"):
        assert root_workplace.run(*_argv("base.tar", cache)).returncode == 0
    (place / "o.tar").unlink()
    entry = _entry(place / "c")
    shutil.rmtree(entry)
    content = base.read_bytes()
    at = content.index(CONTENT) + 5000
    (place / "copy.tar").write_bytes(
        content[:at] + (b"X" if is_damaged else content[at : at + 1]) + content[at + 1 :]
    )
    lock = os.open(place / "c" / "locks" / f"{entry.parent.name}.{entry.name}", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with subprocess.Popen(
        [installation() / "bin" / "rootrun", *_argv("copy.tar", "c")],
        cwd=place,
        env=clean_environment(None),
        stderr=subprocess.PIPE,
    ) as process:
        _wait_for_waiter(lock, process)
        subprocess.run(["cp", "-a", _entry(place / "other"), entry], check=True)
        os.close(lock)
        _, errors = process.communicate(timeout=STOP_LIMIT_S)
    if is_damaged:
        assert process.returncode == 125
        assert b"rootrun: error: read image: layer 1 of 1: diff_id: want sha256:" in errors
    else:
        assert process.returncode == 0, errors.decode()
    assert (place / "o.tar").exists() != is_damaged
