"""pytest with the plugin of rootrun, as users have both: installed, and run by any account."""

import compileall
import os
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from tests.support.program import (
    _interpreter,
    _make_readable,
    clean_environment,
    installation,
    run_as,
)
from tests.support.workplace import Workplace

_DISTRIBUTIONS = ("pytest", "pluggy", "iniconfig", "packaging", "pytest-xdist", "execnet")
_PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
_INI = "[pytest]\naddopts = -p no:cacheprovider --strict-markers -vv\nfilterwarnings = error\n"


def run_pytest(
    place: Workplace,
    source: str,
    *args: str,
    env: Mapping[str, str] | None = None,
    ini: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run the tests of ``source`` in ``place``, which has an image ``base.tar`` with a busybox.

    ``ini`` is added to the configuration.
    """
    argv = pytest_command(place, source, *args, ini=ini)
    done = run_as(argv, account=place.account, env=pytest_environment(env), cwd=place.path)
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def pytest_command(place: Workplace, source: str, *args: str, ini: str = "") -> list[str | Path]:
    """Write what ``run_pytest`` would run, and return its command."""
    if not (place.path / "base.tar").exists():
        place.base()
    place.write("pytest.ini", _INI + ini)
    place.write("test_it.py", source)
    basetemp = f"--basetemp={place.path / 'basetemp'}"
    return [_interpreter(), "-P", "-m", "pytest", basetemp, *args]


def pytest_environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what is laid over a clean environment: pytest is found by it."""
    path = [_pytest_installation(), installation() / "lib"]
    return {"PYTHONPATH": ":".join(map(os.fspath, path)), **(env or {})}


def popen_pytest(place: Workplace, source: str, *args: str) -> subprocess.Popen[str]:
    """Start what ``run_pytest`` would run, in a session of its own."""
    account = place.account
    return subprocess.Popen(
        [os.fspath(word) for word in pytest_command(place, source, *args)],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env=clean_environment(account) | pytest_environment(),
        cwd=place.path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@cache
def _pytest_installation() -> Path:
    """Return the directory of this session's pytest, with xdist, that knows of rootrun."""
    base = installation() / "pytest"
    base.mkdir()
    for name in _DISTRIBUTIONS:
        _copy_distribution(name, base)
    points = tomllib.loads(_PYPROJECT.read_text())["project"]["entry-points"]["pytest11"]
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    _write_metadata(installation() / "lib" / "rootrun-0.dist-info", f"[pytest11]\n{lines}")
    compileall.compile_dir(base, quiet=2)
    _make_readable(base)
    return base


def _copy_distribution(name: str, base: Path) -> None:
    for file in distribution(name).files or []:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            (base / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), base / file)


def _write_metadata(directory: Path, entry_points: str) -> None:
    directory.mkdir()
    (directory / "METADATA").write_text("Metadata-Version: 2.1\nName: rootrun\nVersion: 0\n")
    (directory / "entry_points.txt").write_text(entry_points)
    (directory / "RECORD").write_text("rootrun/__init__.py,,\nrootrun/pytest_plugin.py,,\n")
