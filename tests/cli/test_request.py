"""Options become the request: defaults, conflicts and files that are not there."""

import os
from pathlib import Path

import pytest

from rootrun.cli.commands import MAIN
from rootrun.cli.parser import parse
from rootrun.cli.request import make_request
from rootrun.errors import UsageError
from rootrun.image.reference import Transport
from rootrun.layer.policy import LayerPolicy, OwnerRule
from rootrun.request import NetworkMode, Request
from tests.cli.command_line import call, error_of


@pytest.fixture(autouse=True)
def _work_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    (tmp_path / "Set-Up.sh").write_text("true\n")


def _request(*argv: str) -> Request:
    return make_request(parse(MAIN, argv))


@pytest.mark.parametrize(
    ("argv", "output", "name"),
    [
        (["--from", "dir/Base.tar.gz", "--script", "Set-Up.sh"], "Base-Set-Up.tar", "base-set-up"),
        (["--script", "Set-Up.sh"], "scratch-Set-Up.tar", "set-up"),
        (["--from", "b.tar", "--", "/bin/true"], "b-true.tar", "b-true"),
        (["--from", "-", "--", "true"], "stdin-true.tar", "true"),
        (["--name", "Host:50/A/b", "--", "true"], "b.tar", "host:50/a/b"),
        (["-t", "a/b:1", "--", "true"], "b.tar", "a/b"),
    ],
    ids=["base and script", "no base", "command", "stdin", "name", "tag with a name"],
)
def test_default_output_and_name_are_made_of_stems(argv: list[str], output: str, name: str) -> None:
    request = _request(*argv)
    assert request.output.path == Path(output)
    assert request.output.transport is Transport.DOCKER_ARCHIVE
    assert request.name == name


def test_defaults_are_the_reproducible_ones() -> None:
    request = _request("--script", "Set-Up.sh")
    assert request.policy == LayerPolicy(mtime_s=1, owner=OwnerRule.ROOT)
    assert request.created == "1970-01-01T00:00:01Z"
    assert request.tag is None
    assert request.sandbox.network is NetworkMode.NONE


def test_timestamp_wins_over_source_date_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "77")
    assert _request("--", "true").policy.mtime_s == 77
    assert _request("--timestamp", "0", "--", "true").policy.mtime_s == 0


def test_bad_source_date_epoch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    assert error_of("--", "true").startswith("SOURCE_DATE_EPOCH: 'today': not a number of seconds")


def test_user_and_workdir_are_of_the_image_and_of_the_script() -> None:
    request = _request("-u", "app:app", "-w", "/srv/", "--", "true")
    assert (request.edits.user, request.sandbox.user) == ("app:app", "app:app")
    assert (request.edits.working_directory, request.sandbox.working_directory) == ("/srv", "/srv")


def test_config_edits_the_image_alone() -> None:
    request = _request("--config", '{"User": "app"}', "--", "true")
    assert request.edits.merge == {"User": "app"}
    assert request.sandbox.user is None


def test_env_option_comes_behind_env_files(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=file\n")
    request = _request("--env", "A=option", "--env-file", "env", "--", "true")
    assert request.edits.env == (("A", "file"), ("A", "option"))


def test_ref_of_the_output_is_the_tag_unless_one_is_given() -> None:
    assert _request("-o", "oci:d:v2", "--", "true").tag == "v2"
    assert _request("-o", "oci:d:v2", "-t", "v3", "--", "true").tag == "v3"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "nothing to do: neither --script FILE nor -- COMMAND nor --copy PATH is given"),
        (["--script", "Set-Up.sh", "--", "x"], "--script: not possible together with -- COMMAND"),
        (["--script", "-", "--from", "-"], "standard input: '-': given for more than one"),
        (["--script", "-", "--script", "-"], "standard input: '-': given for more than one"),
        (["--name", "a", "-t", "b:c", "--", "x"], "--tag: NAME:TAG is not possible together"),
        (["--json", "-o", "-", "--", "x"], "--json: not possible together with -o -"),
        (["--digestfile", "d", "--", "x"], "--digestfile: 'd': a docker-archive has no manifest"),
        (["--script", "gone.sh"], "--script: 'gone.sh': No such file or directory"),
        (["--script", "."], "--script: '.': Is a directory"),
        (["--copy", "gone", "--", "x"], "--copy: 'gone': No such file or directory"),
        (["--bind", "gone:/x", "--", "x"], "--bind: 'gone': No such file or directory"),
        (["--iidfile", "gone/f", "--", "x"], "--iidfile: 'gone': No such file or directory"),
        (["--metadata-file", ".", "--", "x"], "--metadata-file: '.': Is a directory"),
        (["--iidfile", "i", "--metadata-file", "./i", "--", "x"], "--metadata-file: 'i': the same"),
        (["--iidfile", "x.tar", "-o", "x.tar", "--", "x"], "--iidfile: 'x.tar': the same file as"),
        (["--tmpdir", "gone", "--", "x"], "--tmpdir: 'gone': No such file or directory"),
        (["--tmpdir", "Set-Up.sh", "--", "x"], "--tmpdir: 'Set-Up.sh': Not a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_impossible_request_is_refused_before_anything_is_read(
    argv: list[str], message: str, tmp_path: Path
) -> None:
    assert error_of(*argv).startswith(message)
    assert os.listdir(tmp_path) == ["Set-Up.sh"]


def test_ref_of_an_archive_is_name_and_tag() -> None:
    request = _request("-o", "docker-archive:x.tar:localhost:5000/a:v2", "--", "true")
    assert (request.name, request.tag) == ("localhost:5000/a", "v2")


def test_ref_that_is_no_tag_leaves_the_tag_to_the_content() -> None:
    assert _request("-o", "oci:d:a/b", "--", "true").tag is None


def test_relative_destination_of_a_copy_is_pointed_out() -> None:
    lines = call("--copy", "Set-Up.sh:srv", "--", "true").stderr.splitlines()
    assert lines[1] == "rootrun: hint: the DST of PATH:DST is an absolute path in the image"


def test_digestfile_needs_an_oci_output() -> None:
    assert _request("--digestfile", "d", "-o", "oci:x", "--", "true")
    with pytest.raises(UsageError, match="no manifest"):
        _request("--digestfile", "d", "-o", "x.tar", "--", "true")
