"""Overlay mounts: many layers, odd paths, read-only views, and probes of file systems."""

import os
import sys
from pathlib import Path

import pytest

from tests.sandbox.conftest import Caller
from tests.sandbox.containers import scratch_for
from tests.sandbox.inside import run_inside

pytestmark = pytest.mark.userns

MANY = 300


@pytest.fixture
def scratch(caller: Caller, tmp_path: Path) -> Path:
    """A directory of each kind of caller."""
    return scratch_for(caller.account, tmp_path)


def _mount_many(scratch: str, count: int) -> None:
    from rootrun.sandbox.overlay import mount_overlay, unmount

    base = Path(scratch)
    lowers = [base / f"{number:064}" for number in range(count)]
    for number, lower in enumerate(lowers):
        lower.mkdir()
        (lower / "same").write_text(str(number))
        (lower / f"file-{number}").touch()
    for name in ("upper", "work", "merged"):
        (base / name).mkdir()
    mount_overlay(base / "merged", lowers=lowers, upper=base / "upper", work=base / "work")
    sys.stdout.write(f"{len(os.listdir(base / 'merged'))} {(base / 'merged/same').read_text()}")
    (base / "merged" / "new").touch()
    unmount(base / "merged")
    assert os.listdir(base / "merged") == []
    assert os.listdir(base / "upper") == ["new"]


def test_many_layers_with_long_names_are_mounted(scratch: Path, caller: Caller) -> None:
    told = run_inside(_mount_many, str(scratch), MANY, account=caller.account)
    assert told == f"{MANY + 1} 0"  # the first one is on top


def test_limit_of_the_kernel_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="too many lower directories, limit is 500"):
        run_inside(_mount_many, str(tmp_path), 501)


def _mount_short(scratch: str, count: int) -> None:
    from rootrun.sandbox.overlay import mount_by_short_names

    base, here = Path(scratch), os.getcwd()
    lowers = [base / f"{number:064}" for number in range(count)]
    for number, lower in enumerate(lowers):
        lower.mkdir()
        (lower / f"file-{number}").touch()
    for name in ("upper", "work", "merged"):
        (base / name).mkdir()
    flags = [("userxattr", None), ("volatile", None), ("xino", "on")]
    upper, work = base / "upper", base / "work"
    mount_by_short_names(base / "merged", flags, lowers=lowers, upper=upper, work=work)
    (base / "merged" / "new").touch()
    sys.stdout.write(f"{len(os.listdir(base / 'merged'))} {os.listdir(upper)[0]}")
    assert os.getcwd() == here


def test_way_of_older_kernels_mounts_as_many(scratch: Path, caller: Caller) -> None:
    told = run_inside(_mount_short, str(scratch), MANY, account=caller.account)
    assert told == f"{MANY + 1} new"


@pytest.mark.parametrize(
    "name", ["a:b", "a,b", "a\\b", "a\\:b", "a\nb", "a b", "a=b,upperdir=c", "é", "\udcff", "#'\"$"]
)
def test_any_path_will_do(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name.replace("\\", "")).mkdir(exist_ok=True)  # what unescaping would lead to
    assert run_inside(_mount_many, str(tmp_path / name), 2) == "3 0"


def _show_read_only(scratch: str, count: int) -> None:
    from rootrun.sandbox.overlay import mount_overlay

    base = Path(scratch)
    lowers = [base / str(number) for number in range(count)]
    for lower in lowers:
        lower.mkdir()
        (lower / f"in-{lower.name}").touch()
    (base / "view").mkdir()
    mount_overlay(base / "view", lowers=lowers)
    sys.stdout.write(" ".join(sorted(os.listdir(base / "view"))))
    try:
        (base / "view" / "new").touch()
    except OSError as error:
        sys.stdout.write(f": {error.strerror}")


@pytest.mark.parametrize(("count", "names"), [(1, "in-0"), (2, "in-0 in-1")])
def test_view_without_an_upper_is_read_only(count: int, names: str, tmp_path: Path) -> None:
    told = run_inside(_show_read_only, str(tmp_path), count)
    assert told == f"{names}: Read-only file system"


def _replace_directory(scratch: str, on_tmpfs: bool) -> None:
    from rootrun.sandbox.overlay import mount_overlay, mount_tmpfs

    base = Path(scratch)
    (base / "lower" / "d" / "deep").mkdir(parents=True)
    (base / "changes").mkdir()
    (base / "merged").mkdir()
    if on_tmpfs:
        mount_tmpfs(base / "changes", size_bytes=1 << 20)
    upper, work = base / "changes" / "upper", base / "changes" / "work"
    upper.mkdir()
    work.mkdir()
    mount_overlay(base / "merged", lowers=[base / "lower"], upper=upper, work=work)
    (base / "merged" / "d" / "deep").rmdir()
    (base / "merged" / "d").rmdir()
    (base / "merged" / "d").mkdir()
    assert os.listdir(base / "merged" / "d") == []
    devices = {os.lstat(base / "merged" / name).st_dev for name in (".", "d")}
    sys.stdout.write(f"{os.listxattr(upper / 'd')} {len(devices)}")


@pytest.mark.parametrize("on_tmpfs", [False, True], ids=["disk", "tmpfs"])
def test_replaced_directory_is_opaque_on_one_device(
    on_tmpfs: bool, scratch: Path, caller: Caller
) -> None:
    told = run_inside(_replace_directory, str(scratch), on_tmpfs, account=caller.account)
    assert told == "['user.overlay.opaque'] 1"


def _probe(directory: str) -> None:
    from rootrun.sandbox.overlay import probe_overlay

    sys.stdout.write(str(probe_overlay(Path(directory))))


def test_probe_of_a_disk_says_nothing_and_leaves_nothing(scratch: Path, caller: Caller) -> None:
    assert run_inside(_probe, str(scratch), account=caller.account) == "None"
    assert os.listdir(scratch) == []


def _probe_on_overlay(scratch: str) -> None:
    from rootrun.sandbox.overlay import mount_overlay, probe_overlay

    base = Path(scratch)
    paths = [base / name for name in ("lower", "upper", "work", "merged")]
    for path in paths:
        path.mkdir()
    mount_overlay(paths[3], lowers=[paths[0]], upper=paths[1], work=paths[2])
    reason = probe_overlay(paths[3])
    sys.stdout.write(f"{reason} {os.listdir(paths[3])}")


def test_probe_names_the_reason_and_leaves_nothing(tmp_path: Path) -> None:
    told = run_inside(_probe_on_overlay, str(tmp_path))
    assert told.startswith("mount overlay: ")
    assert "filesystem on" in told
    assert told.endswith("[]")


def test_probe_of_what_cannot_be_written_names_it() -> None:
    assert run_inside(_probe, "/proc") == "/proc: No such file or directory"
