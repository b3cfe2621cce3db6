"""Running external programs."""

import os
from pathlib import Path

import pytest

from rootrun.errors import HelperError
from rootrun.sandbox.helper import run_helper, run_helpers


def test_stdout_is_returned_and_stdin_is_given() -> None:
    assert run_helper(["cat"], stdin=b"a\0b") == b"a\0b"


def test_stdin_is_empty_by_itself() -> None:
    assert run_helper(["cat"]) == b""


def test_a_lot_of_output_on_both_pipes_is_read() -> None:
    script = "head -c 1000000 /dev/zero | tee /dev/stderr"
    assert len(run_helper(["sh", "-c", script])) == 1_000_000


def test_last_line_of_stderr_is_the_reason() -> None:
    with pytest.raises(HelperError, match=r"^run sh: the reason$"):
        run_helper(["sh", "-c", "echo noise >&2; echo the reason >&2; exit 3"])


@pytest.mark.parametrize(
    ("script", "how"), [("exit 3", "exit status 3"), ("kill -9 $$", "killed by signal 9")]
)
def test_failure_without_words_is_told_by_its_status(script: str, how: str) -> None:
    with pytest.raises(HelperError, match=f"^run sh: {how}$"):
        run_helper(["sh", "-c", script])


def test_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HelperError, match="skopeo: not found on PATH") as caught:
        run_helper(["skopeo", "--version"])
    assert caught.value.hint == "install the package skopeo (Debian, Ubuntu)"


def test_file_that_is_no_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tool").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HelperError, match="tool: cannot be executed"):
        run_helper(["tool"])


def test_programs_run_at_the_same_time(tmp_path: Path) -> None:
    # Each waits for what the other one makes.
    wait = f"touch {tmp_path}/%s; until test -e {tmp_path}/%s; do :; done; echo %s"
    first, second = (["sh", "-c", wait % names] for names in (("a", "b", "1"), ("b", "a", "2")))
    assert run_helpers(first, second) == [b"1\n", b"2\n"]


def test_signals_are_at_their_defaults_and_unblocked() -> None:
    status = run_helper(["cat", "/proc/self/status"]).decode()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert int(fields["SigBlk"], 16) == 0
    assert int(fields["SigIgn"], 16) == 0


def test_descriptors_of_ours_are_not_passed_on() -> None:
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        names = run_helper(["ls", "/proc/self/fd"]).decode().split()
    finally:
        os.close(reader)
        os.close(writer)
    assert sorted(names) == ["0", "1", "2", "3"]  # the last one is the directory itself
