"""The program as a user gets it: an installation that every account can read, and its runs.

The checkout and its virtual environment may lie where only root can look, so
the tests copy what is needed into a world-readable directory, once a session.
"""

import compileall
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import rootrun
from rootrun.cli.launcher import launcher_text
from tests.support.public import is_open, make_public_directory
from tests.support.require import require
from tests.support.users import Account

_LIBRARIES = ("psutil", "prctl", "_prctl", "backports", "isal", "pyroute2")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT_S = 300


def run_rootrun(
    args: Sequence[str | Path],
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run the installed program, as ``account`` or as the caller, and return what it did.

    ``env`` is laid over a clean environment; HOME is the account's own, or a
    home of the test session. ``cwd`` is HOME where none is given.
    """
    argv: list[str | Path] = [installation() / "bin" / "rootrun", *args]
    return run_as(argv, account=account, env=env, cwd=cwd, stdin=stdin)


def run_python(
    source: str,
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run Python ``source`` with the installed package importable, as ``run_rootrun`` does."""
    return run_as(python_command(source), account=account, env=env, cwd=cwd, stdin=stdin)


def python_command(source: str) -> list[str | Path]:
    """Return the command that runs Python ``source`` with the installed package importable."""
    prelude = f"import sys; sys.path.insert(0, {os.fspath(installation() / 'lib')!r})\n"
    return [_interpreter(), "-I", "-c", prelude + source]


def show_on_terminal(source: str, env: Mapping[str, str]) -> str:
    """Run Python ``source`` with a terminal as standard error, and return what it shows there."""
    controller, terminal = pty.openpty()
    try:
        subprocess.run(
            python_command(source),
            stderr=terminal,
            env={**clean_environment(None), **env},
            timeout=TIMEOUT_S,
            check=True,
        )
        return os.read(controller, 65536).decode()
    finally:
        os.close(controller)
        os.close(terminal)


def run_as(
    argv: Sequence[str | Path],
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
) -> subprocess.CompletedProcess[bytes]:
    """Run any program in a clean environment, as ``account`` with no other groups."""
    environment = clean_environment(account) | dict(env or {})
    return subprocess.run(
        [os.fspath(arg) for arg in argv],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env=environment,
        cwd=cwd or environment["HOME"],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def clean_environment(account: Account | None) -> dict[str, str]:
    """Return the environment of a fresh login: PATH, HOME, USER and LANG."""
    home = account.home if account else installation() / "home"
    user = account.name if account else "root"
    return {"PATH": _SYSTEM_PATH, "HOME": os.fspath(home), "USER": user, "LANG": "C.UTF-8"}


@cache
def installation() -> Path:
    """Return the directory of this session's installation: ``bin/rootrun``, ``lib``, ``home``."""
    base = make_public_directory("program")
    try:
        _install(base)
    except BaseException:
        shutil.rmtree(base)
        raise
    return base


def remove_installation() -> None:
    """Remove this session's installation, if there is one."""
    if installation.cache_info().currsize:
        shutil.rmtree(installation())
        installation.cache_clear()


def _install(base: Path) -> None:
    libraries = base / "lib"
    shutil.copytree(Path(rootrun.__file__).parent, libraries / "rootrun", ignore=_NO_CACHES)
    for name in _LIBRARIES:
        _copy_library(name, into=libraries)
    compileall.compile_dir(libraries, quiet=2)
    launcher = base / "bin" / "rootrun"
    launcher.parent.mkdir()
    launcher.write_text(launcher_text(os.fspath(_interpreter()), [os.fspath(libraries)]))
    launcher.chmod(0o755)
    (base / "home").mkdir()
    _make_readable(base)


_NO_CACHES = shutil.ignore_patterns("__pycache__")


def _copy_library(name: str, *, into: Path) -> None:
    spec = find_spec(name)
    if spec is None:
        return  # an extra that is not installed, or in the standard library by now
    for location in spec.submodule_search_locations or []:
        shutil.copytree(location, into / name, ignore=_NO_CACHES, dirs_exist_ok=True)
    if spec.origin and not spec.submodule_search_locations:
        shutil.copy(spec.origin, into)


def _make_readable(base: Path) -> None:
    for directory, _, names in os.walk(base):  # whatever umask the session has
        os.chmod(directory, 0o755)
        for name in names:
            path = Path(directory, name)
            path.chmod(path.stat().st_mode | 0o444)


@cache
def _interpreter() -> Path:
    """Return the interpreter under the virtual environment, which has to be readable for all."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (Path(sys.base_prefix, "bin", version), Path("/usr/bin", version)):
        if candidate.exists() and is_open(candidate.resolve().parent):
            return candidate
    require(False, f"{version} lies where only its owner can look")
    raise AssertionError("unreachable")
