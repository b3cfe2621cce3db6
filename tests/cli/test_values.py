"""Each option says what is wrong with its value, by its name, before anything is read."""

from pathlib import Path

import pytest

from rootrun.cli import config_values, values
from rootrun.layer.policy import OwnerRule
from tests.cli.command_line import error_of

_TASK = ("--from", "no-such-base.tar", "--script", "no-such-script.sh")


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--timeout", "abc", "not a duration"),
        ("--timeout", "-5", "not a duration"),
        ("--timeout", "0", "not longer than nothing"),
        ("--timeout", "5 m", "not a duration"),
        ("--memory", "64MB", "not a size such as 64M or 2G"),
        ("--memory", "0", "not larger than nothing"),
        ("--disk", "-1", "not a size such as 64M or 2G"),
        ("--disk", "9999999999T", "larger than can be"),
        ("--pids", "0", "not a number of at least 1"),
        ("--nofile", "many", "not a number of at least 1"),
        ("--cpus", "0", "not a number above 0"),
        ("--cpus", "half", "not a number above 0"),
        ("--timestamp", "yesterday", "not a number of seconds since 1970"),
        ("--timestamp", "99999999999", "later than a tar header can say (8589934591)"),
        ("--owner", "alice", "not root, keep or UID:GID in numbers"),
        ("--owner", "1:4294967295", "not root, keep or UID:GID in numbers"),
        ("--created", "1970", "not now, @SECONDS or a date such as 2024-01-31T12:00:00Z"),
        ("--created", "2023-02-30T00:00:00Z", "no such date: day is out of range for month"),
        ("--max-layers", "0", "not a number of at least 1"),
        ("--network", "bridge", "not one of none, host"),
        ("--idmap", "all", "not one of auto, root, subids, single"),
        ("--rootfs", "vfs", "not one of auto, overlay"),
        ("--compression", "xz", "not one of none, gzip, zstd"),
        ("--progress", "fancy", "not one of auto, plain, tty, none"),
        ("--bind", "/src", "not SRC:DST[:ro] with an absolute DST"),
        ("--bind", "/src:dst", "not SRC:DST[:ro] with an absolute DST"),
        ("--bind", "/src:/dst:rx", "not SRC:DST[:ro] with an absolute DST"),
        ("--bind", "/src:/../dst", "has a .. in it"),
        ("--bind", "/src:/", "the root itself is no mount point"),
        ("--tmpfs", "run", "not an absolute path"),
        ("--copy", "", "an empty path"),
        ("--workdir", "app", "not an absolute path"),
        ("--user", "a b", "not USER or USER:GROUP"),
        ("--user", "a:b:c", "not USER or USER:GROUP"),
        ("--user", "99999999999", "99999999999 is no id, the last one is 4294967294"),
        ("--user", "0:4294967295", "4294967295 is no id, the last one is 4294967294"),
        ("--env", "=x", "not KEY=VALUE"),
        ("--env", "ROOTRUN_TEST_UNSET", "not KEY=VALUE, and the caller has no such variable"),
        ("--env", "A=\udcff", "not UTF-8"),
        ("--label", "=x", "not KEY=VALUE"),
        ("--expose", "70000", "not PORT or PORT/tcp, PORT/udp, PORT/sctp"),
        ("--expose", "80/icmp", "not PORT or PORT/tcp, PORT/udp, PORT/sctp"),
        ("--cmd", '["a", 1]', "not a JSON array of strings"),
        ("--cmd", '["a"', "not a JSON array of strings"),
        ("--config", "{", "not JSON: Expecting property name enclosed in double quotes"),
        ("--config", '{"Memory": NaN}', "not JSON: a number that is none"),
        ("--config", '{"Labels": {"a": "\\ud800"}}', "not JSON: a lone surrogate"),
        ("--config", '{"User": "a", "User": "b"}', "not JSON: a key twice in one object"),
        ("--config", '{"User": "a", "user": "b"}', "keys that differ in case only"),
        ("--config", '{"x": ' + "[" * 150 + "]" * 150 + "}", "nested too deeply"),
        ("--config", '{"Env": "A=b"}', "Env: not an array of strings"),
        ("--config", '{"Env": ["A"]}', "Env: not an array of KEY=VALUE"),
        ("--config", '{"Volumes": []}', "Volumes: not an object"),
        ("--config", '{"User": 0}', "User: not a string"),
        ("--config", '{"Labels": {"a": 1}}', "Labels: not an object of strings"),
        ("--config", "no-such-file", "No such file or directory"),
        ("--env-file", "no-such-file", "No such file or directory"),
        ("--arch", "vax", "not a GOARCH name"),
        ("--name", "a//b", "not a repository name"),
        ("--tag", "a b", "not a tag"),
        ("--tag", "name:a b", "not a tag"),
        ("--from", "", "an empty path"),
        ("--from", "docker://debian", "no digest"),
        ("--from", "docker://debian@sha256:12", "not a sha256 digest"),
        ("--from-ref", "", "empty"),
        ("--output", "", "an empty path"),
        ("--output", "docker://x/y", "rootrun does not push to registries"),
        ("--output", "oci:d:a//b", "a//b is no name of an image in an OCI layout"),
        ("--output", "docker-archive:x.tar:v1", "v1 is not NAME:TAG"),
    ],
)
def test_bad_value_is_named_with_its_option(option: str, value: str, why: str) -> None:
    message = error_of(*_TASK, f"{option}={value}")
    assert message.startswith(f"{option}: {value!r}: {why}")


def test_volume_of_docker_run_is_pointed_to_bind() -> None:
    assert "use --bind" in error_of(*_TASK, "--volume", "/src:/dst")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("30s", 30), ("5m", 300), ("1.5h", 5400), ("1d", 86400), ("0.5", 0.5)],
)
def test_durations_are_those_of_timeout_1(text: str, seconds: float) -> None:
    assert values.parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("@0", "1970-01-01T00:00:00Z"),
        ("@1700000000", "2023-11-14T22:13:20Z"),
        ("2024-01-31T12:00:00.5+02:00", "2024-01-31T12:00:00.5+02:00"),
    ],
)
def test_created_becomes_rfc_3339(text: str, date: str) -> None:
    assert values.parse_created(text) == date


def test_owners_are_numbers_or_rules() -> None:
    assert values.parse_owner("keep") == (OwnerRule.KEEP, 0, 0)
    assert values.parse_owner("1000:100") == (OwnerRule.FIXED, 1000, 100)


def test_copy_splits_at_an_absolute_destination_only() -> None:
    assert values.parse_copy("a:b").source == Path("a:b")
    copied = values.parse_copy("a:b:/opt//x/")
    assert (copied.source, copied.destination) == (Path("a:b"), "/opt/x/")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["nginx", "-g"]', ("nginx", "-g")),
        ("nginx -g", ("/bin/sh", "-c", "nginx -g")),
        ("[ -f /x ] && y", ("/bin/sh", "-c", "[ -f /x ] && y")),
    ],
    ids=["json", "line", "line that begins with a bracket"],
)
def test_commands_are_read_as_in_a_dockerfile(text: str, words: tuple[str, ...]) -> None:
    assert config_values.parse_command(text) == words


def test_env_file_has_comments_and_the_callers_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_CALLER", "yes")
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=1 = 2\nFROM_CALLER\n")
    assert config_values.parse_env_file(str(file)) == (("A", "1 = 2"), ("FROM_CALLER", "yes"))


def test_bad_line_of_an_env_file_is_told_by_number(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=1\nB C=2\n")
    assert error_of(*_TASK, "--env-file", str(file)).endswith("line 2: not KEY=VALUE")


def test_config_of_a_megabyte_and_more_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b'{"User": "' + b"a" * config_values.MAX_FILE_BYTES + b'"}')
    assert "longer than" in error_of(*_TASK, "--config", str(file))
