"""What a request and an image mean for the run, as values."""

import os
from pathlib import Path

import pytest

from rootrun.dataclass import replace
from rootrun.errors import ScriptError, UsageError
from rootrun.image.config import config_of
from rootrun.image.derive import scratch_config
from rootrun.image.edits import ConfigEdits
from rootrun.image.reference import parse_output_reference
from rootrun.layer.stack import LayerStack
from rootrun.plan import (
    check_outcome,
    container_spec,
    created_by,
    describe,
    inside,
    mount_points,
    plan_layers,
    script_environment,
)
from rootrun.request import Bind, CopyIn, NetworkMode, Request, Sandbox, Scratch
from rootrun.sandbox.idmap import IdMap, IdMapKind
from rootrun.sandbox.spec import CommandStep, ContainerSpec, Outcome, ScriptStep, Step
from tests.support.program import run_python
from tests.support.stacks import stack_of
from tests.support.tarball import symlink, tarball

ROOT_MAP = IdMap(kind=IdMapKind.ROOT, uids=(), gids=(), reason="the caller is root")
SINGLE_MAP = IdMap(kind=IdMapKind.SINGLE, uids=(), gids=(), reason="no subordinate ids")
STEPS: tuple[Step, ...] = (ScriptStep("a.sh", b""), CommandStep(("make", "all")))


def request(
    *,
    scripts: tuple[Path, ...] = (),
    command: tuple[str, ...] = (),
    sandbox: Sandbox | None = None,
) -> Request:
    """Return a request on an empty root."""
    return Request(
        base=None,
        scripts=scripts,
        command=command,
        output=parse_output_reference("out.tar"),
        name="name",
        edits=ConfigEdits(),
        created="1970-01-01T00:00:01Z",
        sandbox=sandbox or Sandbox(),
        scratch=Scratch(cache_directory=None, scratch_parent=None),
    )


def merged_usr(tmp_path: Path) -> LayerStack:
    """Return an image in which directories are symlinks."""
    return stack_of(tmp_path, tarball(symlink("var/run", "/run"), symlink("lib", "usr/lib")))


def test_the_image_s_env_comes_last_and_the_first_equals_sign_counts() -> None:
    config = scratch_config()
    raw = {**config.raw, "config": {"Env": ["PATH=/opt", "A=b=c", "EMPTY="]}}
    environment = script_environment(config_of(raw, where="test"), mtime_s=7)
    assert environment["PATH"] == "/opt"
    assert (environment["A"], environment["EMPTY"]) == ("b=c", "")
    assert (environment["HOME"], environment["LANG"]) == ("/root", "C")
    assert environment["SOURCE_DATE_EPOCH"] == "7"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/var/run/x", "run/x"), ("/lib", "lib"), ("/lib/a/b", "usr/lib/a/b"), ("/new/x", "new/x")],
)
def test_directories_above_a_mount_point_may_be_symlinks_of_the_image(
    path: str, expected: str, tmp_path: Path
) -> None:
    assert inside(path, merged_usr(tmp_path)) == expected


def test_mount_points_are_those_of_the_kernel_and_the_user(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sandbox = Sandbox(
        binds=(Bind(source=tmp_path / "file", destination="/var/run/f"),
               Bind(source=tmp_path, destination="/d")),
        tmpfs=("/lib/t",),
    )  # fmt: skip
    points = mount_points(request(sandbox=sandbox), merged_usr(tmp_path))
    told = [(point.path, point.is_directory) for point in points]
    assert told == [("proc", True), ("dev", True), ("sys", True),
                    ("run/f", False), ("d", True), ("usr/lib/t", True)]  # fmt: skip


def test_the_host_s_network_brings_its_files(tmp_path: Path) -> None:
    sandbox = Sandbox(network=NetworkMode.HOST)
    points = mount_points(request(sandbox=sandbox), merged_usr(tmp_path))
    covered = {point.path for point in points if point.replaces_file}
    expected = {name for name in ("etc/resolv.conf", "etc/hosts") if os.path.exists(f"/{name}")}
    assert covered == expected
    assert not any(point.is_directory for point in points if point.replaces_file)


def test_the_root_is_no_mount_point(tmp_path: Path) -> None:
    sandbox = Sandbox(tmpfs=("/",))
    with pytest.raises(UsageError, match="the root itself"):
        mount_points(request(sandbox=sandbox), merged_usr(tmp_path))


def test_a_spec_has_the_paths_as_the_image_has_them(tmp_path: Path) -> None:
    sandbox = Sandbox(
        binds=(Bind(source=tmp_path, destination="/var/run/b", read_only=True),),
        tmpfs=("/lib/t",),
        network=NetworkMode.HOST,
    )
    spec = container_spec(
        request(sandbox=sandbox),
        merged_usr(tmp_path),
        steps=STEPS,
        config=scratch_config(),
        id_map=ROOT_MAP,
        root=tmp_path,
    )
    assert [(bind.destination, bind.is_read_only) for bind in spec.binds] == [("/run/b", True)]
    assert spec.tmpfs == ("/usr/lib/t",)
    assert (spec.has_host_network, spec.working_directory) == (True, "/")


def test_history_names_no_path_of_the_host() -> None:
    scripts = (Path("/home/me/setup.sh"), Path("other dir/b c.sh"))
    both = request(scripts=scripts)
    assert created_by(both) == ("rootrun --script setup.sh", "rootrun --script 'b c.sh'")
    squashed = ("rootrun --script setup.sh --script 'b c.sh'",)
    assert created_by(replace(both, is_squashed=True)) == squashed
    assert created_by(request(command=("make", "a b"))) == ("rootrun -- make 'a b'",)


def test_scripts_are_read_to_the_byte_in_their_order(tmp_path: Path) -> None:
    scripts = (tmp_path / "b", tmp_path / "a")
    for script in scripts:
        script.write_bytes(script.name.encode() + b"\r\n\0\xff")
    steps = (
        ScriptStep(os.fspath(scripts[0]), b"b\r\n\0\xff"),
        ScriptStep(os.fspath(scripts[1]), b"a\r\n\0\xff"),
    )
    several = request(scripts=scripts)
    assert [plan.steps for plan in plan_layers(several)] == [(step,) for step in steps]
    squashed = replace(several, is_squashed=True)
    assert [plan.steps for plan in plan_layers(squashed)] == [steps]


@pytest.mark.parametrize("is_squashed", [False, True])
def test_copies_belong_to_the_first_layer(tmp_path: Path, is_squashed: bool) -> None:
    script = tmp_path / "script"
    script.touch()
    copies = (CopyIn(source=tmp_path),)
    several = replace(request(scripts=(script, script)), copies=copies, is_squashed=is_squashed)
    first, *others = plan_layers(several)
    assert first.copies == copies
    assert not any(plan.copies for plan in others)


def test_a_script_is_read_from_standard_input() -> None:
    source = """
from pathlib import Path
from rootrun.plan import _read_script
print(_read_script("--script", Path("-")))
"""
    assert run_python(source, stdin=b"echo\n").stdout == b"b'echo\\n'\n"


def test_a_script_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--script: .*gone'?: No such file or directory$"):
        plan_layers(request(scripts=(tmp_path / "gone",)))


def outcome(*, status: int | None = None, signal_number: int | None = None) -> Outcome:
    """Return an outcome of the second step."""
    return Outcome(
        1, status, signal_number, wall_s=0, cpu_s=0, peak_memory_bytes=0, started_count=0
    )


def spec(id_map: IdMap) -> ContainerSpec:
    """Return a container without emulation."""
    return ContainerSpec(root=Path("/"), steps=STEPS, environment={}, id_map=id_map)


def test_success_is_no_error() -> None:
    check_outcome(outcome(status=0), spec(SINGLE_MAP))


@pytest.mark.parametrize(
    ("ended", "exit_code", "message"),
    [
        (outcome(status=3), 3, "run script: make: ended with status 3"),
        (outcome(signal_number=9), 137, "run script: make: killed by signal 9"),
    ],
    ids=["status", "signal"],
)
def test_the_script_s_status_travels_with_the_error(
    ended: Outcome, exit_code: int, message: str
) -> None:
    with pytest.raises(ScriptError, match=message) as raised:
        check_outcome(ended, spec(ROOT_MAP))
    assert raised.value.exit_code == exit_code
    assert raised.value.hint is None


def test_with_one_id_and_nothing_for_the_others_the_failure_says_so() -> None:
    with pytest.raises(ScriptError) as raised:
        check_outcome(outcome(status=1), spec(SINGLE_MAP))
    assert "only one uid" in (raised.value.hint or "")
    assert "one uid" in describe(SINGLE_MAP)
    assert describe(ROOT_MAP) == "the caller is root"
