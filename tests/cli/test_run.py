"""The main job from the command line to the files: what goes where."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.support.program import clean_environment, installation, run_rootrun
from tests.support.users import Account

pytestmark = pytest.mark.userns
_BUSYBOX = Path("/bin/busybox")
_FROM_NOTHING = ("--copy", f"{_BUSYBOX}:{_BUSYBOX}", "--", "/bin/busybox", "sh", "-c")


def _run(*args: str | Path, cwd: Path) -> tuple[int, str, str]:
    done = run_rootrun(args, cwd=cwd)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_stdout_is_the_id_and_stderr_has_what_the_script_says(tmp_path: Path) -> None:
    status, stdout, stderr = _run(*_FROM_NOTHING, "echo out; echo err >&2", cwd=tmp_path)
    assert status == 0, stderr
    assert stdout.startswith("sha256:")
    assert stdout.count("\n") == 1
    assert {"out", "err"} <= set(stderr.splitlines())
    assert os.listdir(tmp_path) == ["scratch-busybox.tar"]


def test_quiet_run_says_nothing_of_its_own(tmp_path: Path) -> None:
    _, _, stderr = _run("-q", *_FROM_NOTHING, "echo only this", cwd=tmp_path)
    assert stderr == "only this\n"


def test_result_files_agree_with_json(tmp_path: Path) -> None:
    files = ("--iidfile", "iid", "--digestfile", "digest", "--metadata-file", "metadata")
    options = ("--json", "-o", "oci-archive:x.tar", "-t", "a/b:1", *files)
    status, stdout, stderr = _run(*options, *_FROM_NOTHING, "true", cwd=tmp_path)
    assert status == 0, stderr
    result = json.loads(stdout)
    metadata = json.loads((tmp_path / "metadata").read_text())
    assert (tmp_path / "iid").read_text() == result["imageId"]
    assert (tmp_path / "digest").read_text() == result["manifestDigest"]
    assert metadata["containerimage.config.digest"] == result["imageId"]
    assert metadata["image.name"] == "a/b:1"
    assert result["output"] == "x.tar"


def test_image_on_stdout_is_the_one_of_a_file(tmp_path: Path) -> None:
    to_file = run_rootrun(["-o", "x.tar", *_FROM_NOTHING, "echo x >/x"], cwd=tmp_path)
    to_stdout = run_rootrun(["-o", "-", *_FROM_NOTHING, "echo x >/x"], cwd=tmp_path)
    assert (to_file.returncode, to_stdout.returncode) == (0, 0), to_stdout.stderr
    assert to_stdout.stdout == (tmp_path / "x.tar").read_bytes()


def test_image_is_not_written_to_a_terminal(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    argv: list[str | Path] = [installation() / "bin/rootrun", "-o", "-", *_FROM_NOTHING, "true"]
    done = subprocess.run(
        argv, stdout=terminal, stderr=subprocess.PIPE, env=clean_environment(None), check=False
    )
    os.close(terminal)
    os.close(controller)
    assert done.returncode == 125
    assert done.stderr.startswith(b"rootrun: error: --output: '-': standard output is a terminal\n")


@pytest.mark.parametrize(
    ("script", "status"), [("exit 7", 7), ("kill -9 $$", 137)], ids=["status", "signal"]
)
def test_status_of_the_script_is_that_of_the_run(script: str, status: int, tmp_path: Path) -> None:
    outcome = _run("--iidfile", "iid", *_FROM_NOTHING, script, cwd=tmp_path)
    assert outcome[0] == status
    assert os.listdir(tmp_path) == []


def test_keep_says_where_the_scratch_tree_of_a_failed_run_is(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    _, _, stderr = _run("--tmpdir", scratch, "--keep", *_FROM_NOTHING, "exit 1", cwd=tmp_path)
    (kept,) = scratch.iterdir()
    assert f"{kept}" in stderr


def test_user_and_environment_reach_the_script(tmp_path: Path) -> None:
    script = 'echo "$MODE $(/bin/busybox id -u) $(/bin/busybox pwd)"'
    options = ("-q", "--env", "MODE=fast", "--user", "7:7", "--workdir", "/bin")
    _, _, stderr = _run(*options, *_FROM_NOTHING, script, cwd=tmp_path)
    assert stderr == "fast 7 /bin\n"


def test_export_writes_the_merged_tree(tmp_path: Path) -> None:
    _run("-o", "x.tar", *_FROM_NOTHING, "echo hello >/hello", cwd=tmp_path)
    status, stdout, stderr = _run("export", "x.tar", cwd=tmp_path)
    assert (status, stdout) == (0, ""), stderr
    listing = subprocess.run(
        ["tar", "-xOf", tmp_path / "x-rootfs.tar", "hello"], capture_output=True, check=True
    )
    assert listing.stdout == b"hello\n"


def test_cache_is_listed_verified_and_pruned(tester: Account) -> None:
    workplace = tester.new_directory()
    cache = tester.new_directory()

    def rootrun(*args: str | Path) -> str:
        done = run_rootrun(args, account=tester, cwd=workplace, env={"ROOTRUN_CACHE": str(cache)})
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    rootrun("-o", "base.tar", *_FROM_NOTHING, "true")
    rootrun("--from", "base.tar", "-o", "x.tar", "--", "/bin/busybox", "true")
    (layer,) = json.loads(rootrun("cache", "list", "--json"))["layers"][-1:]
    assert layer["entries"] >= 1
    assert layer["diffId"][:19] in rootrun("cache", "list")
    verified = json.loads(rootrun("cache", "verify", "--json"))["layers"]
    assert [entry["problem"] for entry in verified] == [None] * len(verified)
    assert json.loads(rootrun("cache", "prune", "--unused-for", "1h", "--json"))["layers"] == []
    assert json.loads(rootrun("cache", "prune", "--json"))["layers"]
    assert json.loads(rootrun("cache", "list", "--json"))["layers"] == []
