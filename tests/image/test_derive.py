"""The new configuration: inherited, edited, and in order."""

import json
from collections.abc import Sequence
from typing import cast

import pytest

from rootrun.errors import ImageError, UsageError
from rootrun.image.config import ImageConfig, parse_config
from rootrun.image.derive import derive_config, merge_env, scratch_config
from rootrun.image.digest import Digest
from rootrun.image.edits import ConfigEdits
from rootrun.image.history import UNKNOWN_STEP
from tests.support.images import JsonObject, dumped

CREATED = "1970-01-01T00:00:01Z"
ONE, TWO, NEW = (Digest("sha256:" + digit * 64) for digit in "123")


def _base(**changes: object) -> ImageConfig:
    document: JsonObject = {
        "architecture": "arm64",
        "os": "linux",
        "config": {"Env": ["A=1", "PATH=/bin"], "Cmd": ["/bin/sh"], "StopSignal": "SIGINT"},
        "rootfs": {"type": "layers", "diff_ids": [ONE, TWO]},
        "history": [{"created_by": "one"}, {"created_by": "two"}],
    }
    return parse_config(dumped(document | changes), where="base")


def _derived(
    base: ImageConfig | None,
    edits: ConfigEdits | None = None,
    *,
    architecture: str | None = None,
    layers: Sequence[Digest] = (NEW,),
    created_by: Sequence[str] = ("rootrun --script setup.sh",),
) -> JsonObject:
    inherited = base.diff_ids if base else ()
    config = derive_config(
        base,
        architecture=architecture,
        diff_ids=(*inherited, *layers),
        edits=edits or ConfigEdits(),
        created=CREATED,
        created_by=created_by,
    )
    return cast("JsonObject", json.loads(config.to_bytes()))


def _runtime(edits: ConfigEdits, **runtime: object) -> JsonObject:
    return cast("JsonObject", _derived(_base(config=runtime), edits)["config"])


def test_everything_is_inherited() -> None:
    derived = _derived(_base(author="me", **{"x.unknown": [1, {"a": None}]}))
    assert derived["author"] == "me"
    assert derived["x.unknown"] == [1, {"a": None}]
    assert derived["config"] == {
        "Env": ["A=1", "PATH=/bin"],
        "Cmd": ["/bin/sh"],
        "StopSignal": "SIGINT",
    }


def test_one_layer_and_one_step_are_added() -> None:
    derived = _derived(_base())
    assert derived["created"] == CREATED
    assert derived["rootfs"] == {"type": "layers", "diff_ids": [ONE, TWO, NEW]}
    step = {"created": CREATED, "created_by": "rootrun --script setup.sh"}
    assert derived["history"] == [{"created_by": "one"}, {"created_by": "two"}, step]


def test_each_of_several_layers_has_a_step() -> None:
    derived = _derived(_base(), layers=(NEW, ONE), created_by=("first", "second"))
    history = cast("list[JsonObject]", derived["history"])
    assert [step["created_by"] for step in history] == ["one", "two", "first", "second"]
    assert not any("empty_layer" in step for step in history)


def test_step_without_a_layer_says_so() -> None:
    history = cast("list[JsonObject]", _derived(_base(), layers=())["history"])
    assert history[-1]["empty_layer"] is True


@pytest.mark.parametrize(
    "key",
    ["id", "parent", "Size", "checksum", "container", "container_config", "preferLocalBuild"],
)
def test_what_the_first_format_left_is_dropped(key: str) -> None:
    assert key not in _derived(_base(**{key: "x"}))


def test_keys_stand_in_the_order_of_the_specification() -> None:
    derived = _derived(_base(variant="v8", author="me", zzz=1))
    assert list(derived) == [
        "created",
        "author",
        "architecture",
        "os",
        "variant",
        "config",
        "rootfs",
        "history",
        "zzz",
    ]


def test_environment_has_each_key_once() -> None:
    """AC16: the last value, in the place where the key came first."""
    merged = merge_env(
        ["FROM_PARENT=1", "LAST_LAYER=parent", "FROM_PARENT=2"],
        ["FROM_CHILD=1", "LAST_LAYER=child"],
    )
    assert merged == ("FROM_PARENT=2", "LAST_LAYER=child", "FROM_CHILD=1")


def test_environment_of_the_base_the_file_and_the_option_are_merged_in_turn() -> None:
    edits = ConfigEdits(merge={"Env": ["B=file", "A=file"]}, env=(("B", "option"),))
    assert _runtime(edits, Env=["A=base", "C=a=b"])["Env"] == ["A=file", "C=a=b", "B=option"]


def test_edits_replace_and_add() -> None:
    edits = ConfigEdits(
        merge={"StopSignal": "SIGTERM", "User": "file"},
        command=("run",),
        entrypoint=(),
        working_directory="/srv",
        user="1000",
        labels=(("a", "b"),),
        exposed_ports=("80", "53/udp"),
        volumes=("/data",),
    )
    assert _runtime(edits, Cmd=["old"], Labels={"c": "d"}, Hostname="kept") == {
        "User": "1000",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Entrypoint": [],
        "Cmd": ["run"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Labels": {"c": "d", "a": "b"},
        "StopSignal": "SIGTERM",
        "Hostname": "kept",
    }


def test_null_removes_a_key() -> None:
    edits = ConfigEdits(merge={"Cmd": None, "Env": None}, env=(("A", "new"),))
    assert _runtime(edits, Cmd=["old"], Env=["A=1", "B=2"]) == {"Env": ["A=new"]}


@pytest.mark.parametrize("merge", [{"Env": "A=1"}, {"Cmd": [1]}, {"Labels": []}, {"User": 0}])
def test_edit_of_a_wrong_type_is_refused(merge: JsonObject) -> None:
    key = next(iter(merge))
    with pytest.raises(UsageError, match=f"edit image: config: {key}: want"):
        _derived(_base(), ConfigEdits(merge=merge))


def test_missing_steps_are_filled_in() -> None:
    """R47: registries refuse an image whose steps are not as many as its layers."""
    history = cast("list[JsonObject]", _derived(_base(history=None))["history"])
    assert [entry.get("comment") for entry in history] == [UNKNOWN_STEP, UNKNOWN_STEP, None]


def test_steps_that_made_no_layer_are_marked() -> None:
    steps: list[JsonObject] = [{"created_by": str(number)} for number in range(4)]
    steps[1]["empty_layer"] = True
    history = cast("list[JsonObject]", _derived(_base(history=steps))["history"])
    assert [bool(entry.get("empty_layer")) for entry in history] == [
        False,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("asked", "architecture", "variant"),
    [
        (None, "arm", "v7"),
        ("arm", "arm", "v7"),
        ("arm/v6", "arm", "v6"),
        ("arm64", "arm64", None),
        ("x86_64", "amd64", None),
    ],
)
def test_architecture_is_the_base_s_or_what_is_asked_for(
    asked: str | None, architecture: str, variant: str | None
) -> None:
    derived = _derived(_base(architecture="arm", variant="v7"), architecture=asked)
    assert (derived["architecture"], derived.get("variant")) == (architecture, variant)


def test_empty_variant_is_dropped() -> None:
    assert "variant" not in _derived(_base(variant=""))


def test_image_from_nothing_has_one_step() -> None:
    derived = _derived(scratch_config("arm64"))
    assert derived["architecture"] == "arm64"
    assert derived["rootfs"] == {"type": "layers", "diff_ids": [NEW]}
    assert len(cast("list[JsonObject]", derived["history"])) == 1
    assert _derived(None, architecture="arm64") == derived


def test_text_outside_ascii_survives() -> None:
    edits = ConfigEdits(labels=(("näme", "\udc80 ✓"),))
    assert _runtime(edits)["Labels"] == {"näme": "\udc80 ✓"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rootfs": None}, "no rootfs"),
        ({"rootfs": []}, "rootfs: want an object, got an array"),
        ({"rootfs": {"type": "squashfs"}}, "unknown type 'squashfs'"),
        ({"rootfs": {"type": "layers", "diff_ids": ["x"]}}, "diff_ids: not a sha256 digest: 'x'"),
        (
            {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "A" * 64]}},
            "not a sha256 digest",
        ),
        ({"os": "windows"}, "os: want linux, got 'windows'"),
        ({"architecture": 1}, "architecture: want a string, got a number"),
        ({"config": {"Env": {}}}, "config: Env: want an array, got an object"),
        ({"history": [1]}, "history: want an object, got a number"),
    ],
)
def test_bad_configuration_is_told_in_one_line(changes: JsonObject, why: str) -> None:
    with pytest.raises(ImageError, match=f"read image: base: .*{why}|read image: base: {why}"):
        _base(**changes)


def test_null_is_as_good_as_nothing() -> None:
    config = _base(config=None, history=None, variant=None, created=None, author=None)
    assert (config.env, config.history, config.variant, config.created) == ((), (), "", "")
