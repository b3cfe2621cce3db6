"""The launcher runs the program with nothing of site-packages but what is named in it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from rootrun.cli.launcher import launcher_text
from rootrun.errors import UsageError
from tests.support.program import installation, run_as, run_python
from tests.support.public import make_public_directory
from tests.support.require import require_program

_SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_PTH_FILES = 20


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A virtual environment with polluted site-packages, of the name that a test asks for."""
    base = make_public_directory("launcher")
    where = base / getattr(request, "param", "plain")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", where], check=True)
    site = where / _SITE
    for package in (installation() / "lib").iterdir():
        (site / package.name).symlink_to(package)
    for number in range(_PTH_FILES):
        (site / f"editable{number}.pth").write_text("import sys; print('polluted')\n")
    yield where
    rmtree(base)


def _write_launcher(environment: Path, file: Path) -> subprocess.CompletedProcess[bytes]:
    python = environment / "bin" / "python"
    return run_as([python, "-I", "-m", "rootrun.cli.launcher", file])


@pytest.mark.parametrize(
    "environment",
    ["plain", "with a space", "long" * 40],
    ids=["plain", "space", "long"],
    indirect=True,
)
def test_launcher_reads_no_pth_file(environment: Path, tmp_path: Path) -> None:
    strace = require_program("strace")
    program = environment / "bin" / "rootrun"
    written = _write_launcher(environment, program)
    assert written.returncode == 0
    assert b"polluted" in written.stdout  # as each program of pip's is
    log = tmp_path / "log"
    argv: list[str | Path] = [
        strace,
        "-f",
        "-e",
        "trace=%file",
        "-o",
        log,
        program,
        "doctor",
        "--json",
    ]
    done = run_as(argv, env={"PYTHONPATH": "/nonexistent", "PYTHONSTARTUP": "/nonexistent"})
    assert done.stdout.startswith(b"{")
    assert b"polluted" not in done.stdout
    opened = log.read_text()
    assert ".pth" not in opened
    assert "sitecustomize" not in opened
    assert "/rootrun/cli/__pycache__/" in opened


def test_launcher_finds_what_is_needed(environment: Path) -> None:
    program = environment / "bin" / "rootrun"
    _write_launcher(environment, program)
    script = program.read_text().replace("run()", "import prctl, psutil, rootrun.cli.main")
    program.write_text(script)
    done = run_as([program])
    assert done.returncode == 0, done.stderr


def test_launcher_follows_a_link_to_it(environment: Path) -> None:
    program = environment / "bin" / "rootrun"
    _write_launcher(environment, program)
    link = environment / "elsewhere"
    link.symlink_to(program)
    assert re.fullmatch(rb"rootrun [\d.]+\n", run_as([link, "--version"]).stdout)


@pytest.mark.parametrize("path", ["relative", "/a\nb", "/a\\b", "/a\udcff"], ids=ascii)
def test_path_that_cannot_be_named_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="cannot be named"):
        launcher_text("/usr/bin/python3", [path])


@pytest.mark.parametrize("words", [[], ["a", "b"], ["--help"], ["/nonexistent/file"]], ids=len)
def test_wrong_words_are_told_in_one_line(words: list[str]) -> None:
    source = f"""
import sys, runpy
sys.argv[1:] = {words!r}
runpy.run_module("rootrun.cli.launcher", run_name="__main__")
"""
    done = run_python(source)
    assert done.returncode == 125
    assert done.stderr.startswith(b"rootrun: error: launcher: ")
    assert done.stderr.count(b"\n") == 1
    assert not os.path.exists("/nonexistent/file")
