"""What the system that rootrun replaces gets wrong, and rootrun must not; see ACCEPTANCE.md."""

import os

import pytest

from tests.e2e.test_changes import ODD_NAMES
from tests.support.merged import merged
from tests.support.tarball import directory, file, symlink, tarball, whiteout
from tests.support.workplace import (
    Workplace,
    busybox_layer,
    config_of,
    content_of,
    layers_of,
    top_layer,
)

pytestmark = pytest.mark.userns

CODE = [
    b"x; touch boo #",
    b"' ; touch boo ; '",
    b'"; touch boo; "',
    b"$(touch boo)",
    b"`touch boo`",
]


@pytest.mark.parametrize("name", [*ODD_NAMES, *CODE], ids=repr)
def test_whiteouts_of_odd_names_in_the_base_hide_and_are_hidden(
    name: bytes, workplace: Workplace
) -> None:
    text = os.fsdecode(name)
    lower = tarball(directory("old"), file(f"old/{text}", b"x"), file("old/kept"))
    base = workplace.base("base.tar", busybox_layer(), lower, tarball(whiteout(f"old/{text}")))
    script = "ls -A /old > /said; find / -xdev -name '*boo*' >> /said\n"
    output = workplace.build(script, base=base)
    assert content_of(output, "said") == b"kept\n"
    assert list(top_layer(output)) == ["said"]
    assert not list(workplace.path.rglob("boo"))


@pytest.mark.parametrize("name", CODE, ids=repr)
def test_names_that_are_commands_are_deleted_and_not_run(
    name: bytes, any_workplace: Workplace
) -> None:
    text = os.fsdecode(name)
    old = tarball(directory("old"), file(f"old/{text}", b"x"), file("old/kept"))
    base = any_workplace.base("base.tar", busybox_layer(), old)
    script = 'for f in /old/*boo*; do rm -- "$f"; done\n'
    output = any_workplace.build(script, base=base)
    assert list(top_layer(output)) == ["old/", f"old/.wh.{text}"]
    assert {path for path in merged(layers_of(output)) if path.startswith("old/")} == {"old/kept"}
    assert not list(any_workplace.path.rglob("boo"))


def test_no_variables_are_none_and_none_is_twice(any_workplace: Workplace) -> None:
    base = any_workplace.base()
    runtime = config_of(any_workplace.build("echo > /x\n", base=base))["config"]
    assert runtime == {}
    twice = any_workplace.base("twice.tar", config={"Env": ["A=1", "B=1", "A=2"]})
    output = any_workplace.build("echo $A > /said\n", "--env", "B=3", base=twice)
    assert config_of(output)["config"] == {"Env": ["A=2", "B=3"]}
    assert content_of(output, "said") == b"2\n"


def test_content_replaces_no_symlink_and_no_mode_of_the_base(any_workplace: Workplace) -> None:
    old = tarball(
        *(directory("usr"), directory("usr/sbin", 0o700), symlink("sbin", "usr/sbin")),
        *(directory("srv", 0o750, uid=3, gid=4), symlink("srv/www", "/usr")),
    )
    base = any_workplace.base("base.tar", busybox_layer(), old)
    (any_workplace.path / "tree/srv/www").mkdir(parents=True)
    (any_workplace.path / "tree/sbin").mkdir()
    any_workplace.write("tree/sbin/tool", "tool", mode=0o755)
    any_workplace.write("tree/srv/www/page", "page")
    output = any_workplace.build("test -L /sbin; test -L /srv/www\n", "--copy", "tree", base=base)
    before, after = merged(layers_of(base)), merged(layers_of(output))
    assert {*after} - {*before} == {"usr/sbin/tool", "usr/page"}
    assert all(after[path] == before[path] for path in before)


def test_eighteen_layers_and_more_can_be_mounted_by_long_names(any_workplace: Workplace) -> None:
    """A mount whose option is 255 bytes at most has room for 17 directories."""
    layers = [tarball(directory("n"), file(f"n/{number}", b"x")) for number in range(17)]
    base = any_workplace.base("base.tar", busybox_layer(), *layers)
    output = any_workplace.build(
        "ls /n | wc -l > /said; rm /n/*\n", "--cache-dir", "c" * 200, base=base
    )
    assert content_of(output, "said") == b"17\n"
    assert not any(path.startswith("n/") for path in merged(layers_of(output)))
