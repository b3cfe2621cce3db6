"""The package's own way to load modules does what Python's does."""

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

from tests.support.program import installation, run_as, run_python
from tests.support.require import require_program

_LOAD = "from rootrun.loading import load_with_less_ado; load_with_less_ado()\n"
_SHOW = """
import rootrun.cli.run, rootrun.pipeline
for name, module in sorted(sys.modules.items()):
    if name.startswith("rootrun."):
        spec = module.__spec__
        print(name, module.__file__, module.__cached__, module.__package__)
        print(spec.parent, spec.origin)
        print(getattr(module, "__path__", None), spec.submodule_search_locations, spec.has_location)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, with a module more, compiled."""
    copy = tmp_path / "lib" / "rootrun"
    shutil.copytree(installation() / "lib" / "rootrun", copy)
    (copy / "sample.py").write_text("VALUE = 'old'\n")
    compileall.compile_dir(copy, quiet=2, force=True)
    return copy


def _value(package: Path, *options: str) -> list[str]:
    """Return the value of the sample, and the class that loaded it."""
    source = f"import sys; sys.path.insert(0, {os.fspath(package.parent)!r})\n{_LOAD}"
    show = "import rootrun.sample as s; print(s.VALUE, type(s.__spec__.loader).__name__)"
    argv = [sys.executable, "-I", *options, "-c", source + show]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()


def test_modules_are_described_as_by_python() -> None:
    ours, usual = run_python(_LOAD + _SHOW), run_python("import rootrun.loading" + _SHOW)
    assert ours.stderr == usual.stderr == b""
    assert ours.stdout == usual.stdout
    assert ours.stdout.count(b"\n") > 200


def test_compiled_module_is_loaded_with_less_ado(package: Path) -> None:
    assert _value(package) == ["old", "_Finder"]


@pytest.mark.parametrize("text", ["VALUE = 'newer'\n", "VALUE = 'new'\n"], ids=["size", "mtime"])
def test_changed_source_counts(text: str, package: Path) -> None:
    source = package / "sample.py"
    source.write_text(text)
    status = source.stat()
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 10**10))
    assert _value(package) == [text.split("'")[1], "SourceFileLoader"]
    assert _value(package)[1] == "_Finder"  # Python has compiled it


def test_module_that_is_not_compiled_is_left_to_python(package: Path) -> None:
    next((package / "__pycache__").glob("sample.*")).unlink()
    assert _value(package) == ["old", "SourceFileLoader"]


def test_module_compiled_by_hash_is_left_to_python(package: Path) -> None:
    mode = PycInvalidationMode.CHECKED_HASH
    compileall.compile_file(package / "sample.py", quiet=2, force=True, invalidation_mode=mode)
    assert _value(package) == ["old", "SourceFileLoader"]


def test_cut_off_module_is_left_to_python(package: Path) -> None:
    os.truncate(next((package / "__pycache__").glob("sample.*")), 10)
    assert _value(package) == ["old", "SourceFileLoader"]


def test_caches_elsewhere_are_left_to_python(package: Path, tmp_path: Path) -> None:
    assert _value(package, "-X", f"pycache_prefix={tmp_path}") == ["old", "SourceFileLoader"]


def test_missing_module_is_missing() -> None:
    done = run_python(f"{_LOAD}import rootrun.image.nothing")
    assert b"ModuleNotFoundError: No module named 'rootrun.image.nothing'" in done.stderr


def test_no_name_is_tried_that_is_no_module(tmp_path: Path) -> None:
    strace = require_program("strace")
    argv: list[str | Path] = [strace, "-f", "-e", "trace=%file", "-o", tmp_path / "log"]
    done = run_as([*argv, installation() / "bin" / "rootrun", "cache", "list"])
    assert done.returncode == 0
    lines = [line for line in (tmp_path / "log").read_text().splitlines() if "lib/rootrun/" in line]
    missed = {line.split('"')[1] for line in lines if "ENOENT" in line}
    assert len(lines) > 50
    # What Python itself has looked for, as the package and its first modules are.
    missed -= {path for path in missed if "/rootrun/__init__." in path}
    assert missed
    assert all(Path(path.removesuffix(".py")).is_dir() for path in missed)  # packages


def test_pathlib_comes_without_urllib_and_still_makes_uris() -> None:
    source = """
from rootrun.loading import load_pathlib
load_pathlib()
from pathlib import Path
print("urllib.parse" in sys.modules)
print(Path("/a b").as_uri())
import urllib.parse
print(urllib.parse.unquote("%20x"))
"""
    assert run_python(source).stdout.splitlines() == [b"False", b"file:///a%20b", b" x"]
