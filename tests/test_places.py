"""The cache and the scratch tree are where the options, else the environment, say."""

import os
import pwd
from pathlib import Path

import pytest

from rootrun.places import cache_directory, scratch_of, scratch_parent


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROOTRUN_CACHE", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/of-test")


def test_option_wins_over_every_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOTRUN_CACHE", "/from/rootrun")
    assert cache_directory(Path("here")) == tmp_path / "here"


@pytest.mark.parametrize(
    ("variables", "directory"),
    [
        ({"ROOTRUN_CACHE": "/r", "XDG_CACHE_HOME": "/x"}, "/r"),
        ({"ROOTRUN_CACHE": "", "XDG_CACHE_HOME": "/x"}, "/x/rootrun"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/of-test/.cache/rootrun"),
        ({"XDG_CACHE_HOME": ""}, "/home/of-test/.cache/rootrun"),
    ],
    ids=["own variable", "XDG", "relative XDG", "empty XDG"],
)
def test_cache_is_found_by_the_environment(
    variables: dict[str, str], directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_directory(None) == Path(directory)


def test_cache_without_home_is_in_that_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert cache_directory(None) == Path(home, ".cache/rootrun")


def test_no_cache_means_none() -> None:
    places = scratch_of(cache=Path("/c"), no_cache=True, tmpdir=None, keep=True)
    assert places.cache_directory is None
    assert places.keep_on_failure


def test_tmpdir_that_is_no_directory_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", os.fspath(tmp_path / "gone"))
    assert scratch_parent(None) is None
    monkeypatch.setenv("TMPDIR", os.fspath(tmp_path))
    assert scratch_parent(None) == tmp_path
