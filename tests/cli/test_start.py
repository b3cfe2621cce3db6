"""What starts often loads little: modules are counted, milliseconds are not."""

import pytest

from tests.support.program import run_python

_HEAVY = {
    *("asyncio", "backports.zstd", "bz2", "importlib.metadata", "lzma", "multiprocessing"),
    *("psutil", "pyroute2", "shutil", "subprocess", "tarfile", "tempfile", "unittest"),
    *("urllib.request", "zstandard"),
}
_SHOW_MODULES = "\nprint(*sorted(sys.modules), sep='\\n')"


def _modules_after(source: str) -> set[str]:
    """Return the modules that ``source`` loads, beyond those of any start."""
    return _modules(source) - _modules("pass")


def _modules(source: str) -> set[str]:
    done = run_python(source + _SHOW_MODULES)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.decode().splitlines())


def test_version_loads_nothing_of_the_program() -> None:
    loaded = _modules_after("sys.argv[1:] = ['--version']\nfrom rootrun.__main__ import run; run()")
    names = {name for name in loaded if name.replace(".", "_").isidentifier()}
    assert names == {"rootrun", "rootrun.__main__"}


@pytest.mark.parametrize(
    "source",
    [
        "from rootrun.cli.main import main; main(['--help'])",
        "from rootrun.cli.main import main; main(['--bogus'])",
        "import rootrun.cli.run",
        "import rootrun.pipeline",
    ],
    ids=["help", "wrong option", "main job", "pipeline"],
)
def test_hot_path_loads_no_heavy_module(source: str) -> None:
    assert not _modules_after(source) & _HEAVY


@pytest.mark.parametrize("words", ["--help", "test --help", "pull --help", "completion bash"])
def test_machines_are_loaded_only_to_be_used(words: str) -> None:
    loaded = _modules_after(f"from rootrun.cli.main import main; main({words.split()!r})")
    assert not {name for name in loaded if name.startswith("rootrun.testing")}


def test_completion_loads_no_pipeline() -> None:
    loaded = _modules_after("from rootrun.cli.main import main; main(['completion', 'bash'])")
    assert not {name for name in loaded if name.startswith(("rootrun.sandbox", "rootrun.store"))}


def test_end_frees_nothing_and_loses_nothing() -> None:
    source = """
import atexit
from rootrun.__main__ import run
atexit.register(print, "said at the exit")
sys.argv[1:] = ["help"]
run()
"""
    done = run_python(source)
    assert done.returncode == 0
    assert done.stdout.lstrip().startswith(b"NAME")
    assert b"SEE ALSO" in done.stdout
    assert b"said at the exit" not in done.stdout
