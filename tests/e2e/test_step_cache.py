"""--step-cache: what was run once on the same inputs is not run again, and gives the same bytes."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.restricted import restricted_build
from tests.support.steps import HARMLESS, ONE, SCRIPTS, Steps
from tests.support.workplace import Workplace, content_of

pytestmark = pytest.mark.userns


@pytest.fixture
def steps(workplace: Workplace) -> Steps:
    """Steps of an account with subordinate ids."""
    return Steps(workplace)


@pytest.fixture
def any_steps(any_workplace: Workplace) -> Steps:
    """Steps of each kind of caller in turn."""
    return Steps(any_workplace)


def test_the_second_run_takes_all_layers_and_gives_the_same_bytes(any_steps: Steps) -> None:
    options = ("--owner", "keep")
    assert any_steps.taken(*options) == [False, False]
    made = any_steps.image.read_bytes()
    done, taken = any_steps.run(*options)
    assert taken == [True, True]
    assert any_steps.image.read_bytes() == made
    told = json.loads(done.stdout)
    assert told["rootfs"] is None
    assert told["usage"]["processes"] == 0
    assert_image_valid(any_steps.image)


STABLE = {"one.sh": "mkdir /d; echo 1 > /d/f; chown 5:6 /d/f\n", "two.sh": "rm /d/f /bin/yes\n"}


@pytest.mark.parametrize("output", ["out.tar", "oci-archive:out.tar"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_the_bytes_are_those_of_a_run_without_the_cache(
    output: str, compression: str, steps: Steps
) -> None:
    options = ("--compression", compression)
    given = ("--from", "base.tar", "--script", "one.sh", "--script", "two.sh", *options)
    for name, content in STABLE.items():
        steps.place.write(name, content)
    done = steps.place.run(*given, "--no-cache", "-o", output)
    assert done.returncode == 0, done.stderr.decode()
    plain = steps.image.read_bytes()
    for expected in ([False, False], [True, True]):
        assert steps.run(*options, scripts=STABLE, output=output)[1] == expected
        assert steps.image.read_bytes() == plain


def test_a_layout_shares_the_blob_with_the_cache_and_is_whole(any_steps: Steps) -> None:
    for number in range(2):
        done, taken = any_steps.run(output=f"oci:{number}")
        assert taken == [number == 1] * 2
        image = assert_image_valid(any_steps.place.path / str(number))
        for layer in json.loads(done.stdout)["layers"]:
            blob = any_steps.place.path / str(number) / "blobs" / layer["digest"].replace(":", "/")
            assert blob.stat().st_mode & 0o777 == 0o644
            assert any((entry / "blob").samefile(blob) for entry in any_steps.entries())
    assert image.layers == assert_image_valid(any_steps.place.path / "0").layers


def test_later_steps_run_on_layers_that_were_taken(any_steps: Steps) -> None:
    any_steps.taken(scripts={"one.sh": ONE})
    ran = content_of(any_steps.image, "one/ran")
    assert any_steps.taken() == [True, False]
    assert content_of(any_steps.image, "two/ran").startswith(ran)
    assert any_steps.taken(scripts={**SCRIPTS, "three.sh": "rm /one/ran\n"}) == [True, True, False]


def test_a_step_after_one_that_missed_is_taken_if_the_layer_is_the_same(steps: Steps) -> None:
    scripts = {"a.sh": "echo 1 > /a\n", "b.sh": "cat /proc/sys/kernel/random/uuid > /b\n"}
    assert steps.taken(scripts=scripts) == [False, False]
    again = {**scripts, "a.sh": "printf '1\\n' > /a\n"}
    assert steps.taken(scripts=again) == [False, True]
    assert steps.taken(scripts={**scripts, "a.sh": "echo 2 > /a\n"}) == [False, False]


def test_squashed_scripts_are_one_step(steps: Steps) -> None:
    assert steps.taken("--squash") == [False]
    assert steps.taken("--squash") == [True]
    assert steps.taken() == [False, False]


def test_a_command_is_a_step(steps: Steps) -> None:
    command = ("--", "cp", "/proc/sys/kernel/random/uuid", "/ran")
    assert steps.taken(*command, scripts={}) == [False]
    assert steps.taken(*command, scripts={}) == [True]
    assert steps.taken(*command[:-1], "/other", scripts={}) == [False]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--network", "host"), "not used: with --network host"),
        (("--bind", "one.sh:/mnt/x:ro"), "not used: what --bind shows"),
        (("--check",), "x.sh: not looked for"),
    ],
    ids=["network", "bind", "check"],
)
def test_what_is_not_known_to_be_the_same_is_run(
    options: tuple[str, ...], reason: str, steps: Steps
) -> None:
    steps.place.write("one.sh", "")
    scripts = {"x.sh": HARMLESS}
    for _ in range(2):
        assert steps.taken(*options, scripts=scripts) == [False]
    (told,) = steps.reason(*options, scripts=scripts)
    assert told.startswith(reason)


def test_what_a_layer_does_not_keep_is_told_again(any_steps: Steps) -> None:
    told = [any_steps.run()[0].stderr.decode() for _ in range(2)]
    for stderr in told:
        assert "warning: 1 changed paths with another owner than 0:0" in stderr


def test_what_is_made_where_something_is_refused_is_not_kept(lone_workplace: Workplace) -> None:
    script = "touch /f; chmod 4755 /f || true\n"
    options = ("--step-cache", "-v", "--cache-dir", "cache")
    base = lone_workplace.base()
    for is_traceable in (False, True):
        _, messages = restricted_build(
            lone_workplace, script, *options, base=base, is_traceable=is_traceable
        )
        refused = "step cache: restricted.sh: not kept, for what was warned of" in messages
        assert refused != is_traceable
        assert (lone_workplace.path / "cache" / "steps-1").exists() == is_traceable


def test_what_passed_the_check_is_taken_later(steps: Steps) -> None:
    assert steps.taken("--check", scripts={"x.sh": HARMLESS}) == [False]
    assert steps.taken(scripts={"x.sh": HARMLESS}) == [True]


def test_a_step_that_fails_keeps_those_before_it(any_steps: Steps) -> None:
    place = any_steps.place
    place.write("one.sh", ONE)
    place.write("bad.sh", "exit 9\n")
    given = ("--from", "base.tar", "--script", "one.sh", "--script", "bad.sh", "-o", "out.tar")
    done = place.run(*given, "--cache-dir", "cache", "--step-cache", *place.options)
    assert done.returncode == 9
    assert len(any_steps.entries()) == 1
    assert any_steps.taken() == [True, False]


def change_blob(entry: Path) -> None:
    """Change a byte of the layer, at the same size and time."""
    blob = entry / "blob"
    status = blob.stat()
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    os.utime(blob, ns=(status.st_atime_ns, status.st_mtime_ns))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "blob": change_blob,
    "blob cut off": lambda entry: os.truncate(entry / "blob", 10),
    "no blob": lambda entry: (entry / "blob").unlink(),
    "record": lambda entry: (entry / "record.json").write_bytes(b"x"),
    "no record": lambda entry: (entry / "record.json").unlink(),
    "mark": lambda entry: (entry / "made.json").write_bytes(b"{}"),
}


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_step_is_run_again(case: str, compression: str, steps: Steps) -> None:
    options = ("--compression", compression)
    stable = {"x.sh": HARMLESS}
    steps.taken(*options, scripts=stable)
    made = steps.image.read_bytes()
    time.sleep(1.1)  # so that the next run remembers that the blob is right
    assert steps.taken(*options, scripts=stable) == [True]
    (entry,) = steps.entries()
    DAMAGE[case](entry)
    assert steps.taken(*options, scripts=stable) == [False]
    assert steps.image.read_bytes() == made
    assert steps.taken(*options, scripts=stable) == [True]
    assert steps.image.read_bytes() == made


def test_steps_are_listed_verified_and_pruned(any_steps: Steps) -> None:
    any_steps.taken()
    place = any_steps.place

    def cache(action: str) -> tuple[int, list[dict[str, object]]]:
        done = place.run("cache", action, "--json", "--cache-dir", "cache")
        return done.returncode, json.loads(done.stdout)["steps"]

    diff_ids = set(assert_image_valid(any_steps.image).diff_ids[1:])
    assert {step["diffId"] for step in cache("list")[1]} == diff_ids
    assert b"(step)" in place.run("cache", "list", "--cache-dir", "cache").stdout
    assert cache("verify")[0] == 0
    change_blob(any_steps.entries()[0])
    status, found = cache("verify")
    assert (status, [bool(step["problem"]) for step in found].count(True)) == (1, 1)
    assert len(any_steps.entries()) == 1
    assert len(cache("prune")[1]) == 1
    assert any_steps.entries() == []
    assert any_steps.taken() == [False, False]


def test_runs_at_the_same_time_do_not_disturb_each_other(steps: Steps) -> None:
    place = steps.place
    for name, content in SCRIPTS.items():
        place.write(name, content)
    scripts = "--script one.sh --script two.sh --owner keep"
    run = f"rootrun --from base.tar {scripts} --cache-dir cache --step-cache -q"
    command = " & ".join(f"{run} -o {number}.tar" for number in range(6))
    done = place.shell(f"{command} & wait")
    assert done.stderr == b"", done.stderr.decode()
    for number in range(6):
        assert_image_valid(place.path / f"{number}.tar")
    assert steps.taken("--owner", "keep") == [True, True]


def test_without_the_option_nothing_is_taken_or_kept(steps: Steps) -> None:
    steps.taken()
    entries = steps.entries()
    ran = content_of(steps.image, "two/ran")
    given = ("--from", "base.tar", "--script", "one.sh", "--script", "two.sh", "-o", "out.tar")
    assert steps.place.run(*given, "--cache-dir", "cache").returncode == 0
    assert content_of(steps.image, "two/ran") != ran
    assert steps.entries() == entries


def test_it_is_not_possible_without_a_cache(workplace: Workplace) -> None:
    done = workplace.run("--step-cache", "--no-cache", "-o", "out.tar", "--", "true")
    assert done.returncode == 125
    assert b"--step-cache: not possible together with --no-cache" in done.stderr
