"""The examples do what the README shows, for every kind of caller."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import run_rootrun
from tests.support.require import require_program
from tests.support.users import Account

_EXAMPLES = Path(__file__).parent.parent / "examples"
_LAYER = """\
drwxr-xr-x 0:0        0 etc
-rw-r--r-- 0:0        0 etc/.wh.motd
drwxr-xr-x 0:0        0 srv
drwxr-x--- 0:0        0 srv/www
-rw-r--r-- 0:0       13 srv/www/index.html
lrwxrwxrwx 0:0        0 var-www -> /srv/www
"""


def _make_base(directory: Path, *, path: str = "/usr/sbin:/usr/bin:/sbin:/bin") -> Path:
    target = directory / "base.tar"
    subprocess.run(
        [sys.executable, _EXAMPLES / "make_base.py", target], check=True, env={"PATH": path}
    )
    return target


def _show_layer(image: Path) -> str:
    argv = [sys.executable, os.fspath(_EXAMPLES / "show_layer.py"), os.fspath(image)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _run_setup(base: Path, workplace: Path, account: Account | None) -> Path:
    script = shutil.copy(_EXAMPLES / "setup.sh", base.parent)
    done = run_rootrun(["--from", base, "--script", script], account=account, cwd=workplace)
    assert done.returncode == 0, done.stderr
    return workplace / "base-setup.tar"


@pytest.mark.userns
def test_setup_makes_the_layer_of_the_readme(public_path: Path) -> None:
    workplace = public_path / "work"
    workplace.mkdir()
    image = _run_setup(_make_base(public_path), workplace, None)
    assert _show_layer(image) == _LAYER


@pytest.mark.userns
def test_setup_makes_the_same_bytes_for_every_caller(
    public_path: Path, tester: Account, lone: Account
) -> None:
    base = _make_base(public_path)
    workplace = public_path / "work"
    workplace.mkdir()
    images = {_run_setup(base, workplace, None).read_bytes()}
    for account in (tester, lone):
        images.add(_run_setup(base, account.new_directory(), account).read_bytes())
    assert len(images) == 1


@pytest.mark.userns
def test_base_without_busybox_is_made_of_the_machines_own_programs(
    public_path: Path, tmp_path: Path
) -> None:
    require_program("ldd")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "cat", "chmod", "id", "ldd", "ln", "mkdir", "rm"):
        (programs / name).symlink_to(require_program(name))
    workplace = public_path / "work"
    workplace.mkdir()
    image = _run_setup(_make_base(public_path, path=os.fspath(programs)), workplace, None)
    assert _show_layer(image) == _LAYER


def test_base_is_the_same_each_time(tmp_path: Path) -> None:
    first = _make_base(tmp_path).read_bytes()
    assert _make_base(tmp_path).read_bytes() == first
