"""What a script changes is what the layer has, and nothing else; as each kind of caller."""

import os
import tarfile

import pytest

from tests.support.tarball import (
    device,
    directory,
    fifo,
    file,
    hardlink,
    symlink,
    tarball,
    whiteout,
)
from tests.support.workplace import Workplace, busybox_layer, content_of, layers_of, top_layer

pytestmark = pytest.mark.userns


def names(
    workplace: Workplace, script: str, *layers: bytes, args: tuple[str, ...] = ()
) -> list[str]:
    """Return the names in the layer that ``script`` makes on a busybox and ``layers`` over it."""
    base = workplace.base("base.tar", busybox_layer(), *layers)
    return list(top_layer(workplace.build(script, *args, base=base)))


def test_ac12_touching_a_new_file_gives_that_file_alone(any_workplace: Workplace) -> None:
    output = any_workplace.build("touch /example-file\n")
    layer = top_layer(output)
    assert list(layer) == ["example-file"]
    assert layer["example-file"].size == 0
    assert (layer["example-file"].uid, layer["example-file"].mtime) == (0, 1)


def test_r71_a_script_that_changes_nothing_gives_an_empty_layer(any_workplace: Workplace) -> None:
    output = any_workplace.build("cat /etc/passwd >/dev/null\ntouch /bin/busybox\n")
    assert top_layer(output) == {}
    assert layers_of(output)[-1] == bytes(1024)


def test_ac13_the_topmost_layer_wins(any_workplace: Workplace) -> None:
    one = tarball(*(file(f"f{n}", b"layer1") for n in (1, 2, 3)))
    two = tarball(*(file(f"f{n}", b"layer2") for n in (2, 3)))
    three = tarball(file("f3", b"layer3"))
    base = any_workplace.base("base.tar", busybox_layer(), one, two, three)
    output = any_workplace.build("cat /f1 /f2 /f3 > /all\n", base=base)
    assert content_of(output, "all") == b"layer1layer2layer3"


def test_ac14_chained_runs_see_what_the_runs_before_wrote(any_workplace: Workplace) -> None:
    base = any_workplace.base()
    for letter in "abc":
        base = any_workplace.build(f"printf {letter} >> /log\n", base=base, output=f"{letter}.tar")
    assert [content_of(any_workplace.path / f"{c}.tar", "log") for c in "abc"] == [
        b"a",
        b"ab",
        b"abc",
    ]
    assert len(layers_of(base)) == 4


def test_ac43_a_directory_made_again_shows_none_of_its_old_children(
    any_workplace: Workplace,
) -> None:
    old = tarball(directory("d"), file("d/a"), file("d/b"), directory("d/sub"), file("d/sub/x"))
    script = "rm -rf /d; mkdir /d; echo new > /d/n; mkdir /d/sub; echo > /d/sub/y\n"
    assert names(any_workplace, script, old) == [
        "d/",
        "d/.wh.a",
        "d/.wh.b",
        "d/n",
        "d/sub/",
        "d/sub/.wh.x",
        "d/sub/y",
    ]


ODD_NAMES = [
    b"a blank",
    b"quote'and\"quote",
    b"$(touch boo)`x`",
    b"line\nfeed",
    b"-leading",
    b"latin-\xe9",
    b"n" * 255,  # its whiteout is longer than any file's name may be
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
def test_ac44_odd_names_are_made_and_deleted(name: bytes, workplace: Workplace) -> None:
    text = os.fsdecode(name)
    old = tarball(directory("old"), file(f"old/{text}", b"x"))
    base = workplace.base("base.tar", busybox_layer(), old)
    workplace.write("name", name)
    bind = ("--bind", f"{workplace.path}/name:/name:ro")
    script = 'n=$(cat /name); rm -- "/old/$n"; mkdir /new; echo > "/new/$n"\n'
    layer = top_layer(workplace.build(script, *bind, base=base))
    assert list(layer) == ["new/", f"new/{text}", "old/", f"old/.wh.{text}"]


def test_ac44_a_path_longer_than_256_bytes_is_kept(any_workplace: Workplace) -> None:
    path = "/".join(["d" * 90] * 4)
    made = names(any_workplace, f"mkdir -p /{path}; echo > /{path}/f\n")
    assert made[-1] == f"{path}/f"


@pytest.mark.parametrize("with_stubs", [True, False], ids=["in the base", "not in the base"])
def test_ac45_mount_points_never_reach_the_layer(
    with_stubs: bool, any_workplace: Workplace
) -> None:
    stubs = tarball(directory("dev"), directory("proc"), directory("sys"), directory("run"))
    layers = [stubs] if with_stubs else []
    assert names(any_workplace, "test -d /proc/1; echo > /x\n", *layers) == ["x"]


def test_mount_points_that_the_base_deleted_are_there_and_stay_deleted(
    any_workplace: Workplace,
) -> None:
    # The system that rootrun replaces writes such whiteouts into each of its layers.
    stubs = tarball(directory("dev"), directory("proc"), directory("sys"))
    deleted = tarball(whiteout("dev"), whiteout("proc"), whiteout("sys"))
    assert names(any_workplace, "test -d /proc/1; echo > /x\n", stubs, deleted) == ["x"]


def test_ac46_hard_links_are_written_as_full_files(any_workplace: Workplace) -> None:
    output = any_workplace.build("echo 12 > /a; ln /a /b\n")
    layer = top_layer(output)
    assert [(m.name, m.type, m.size) for m in layer.values()] == [
        ("a", tarfile.REGTYPE, 3),
        ("b", tarfile.REGTYPE, 3),
    ]


def test_ac46_a_linked_base_file_can_be_edited_by_one_name(any_workplace: Workplace) -> None:
    linked = tarball(file("one", b"old"), hardlink("two", "one"))
    base = any_workplace.base("base.tar", busybox_layer(), linked)
    output = any_workplace.build("echo new > /one\n", base=base)
    assert list(top_layer(output)) == ["one"]
    assert content_of(output, "one") == b"new\n"


def test_ac47_a_device_that_cannot_be_made_is_refused_not_deleted(any_workplace: Workplace) -> None:
    script = "mknod /null c 1 3 || echo refused > /x\n"
    made = names(any_workplace, script, args=("--emulate", "off"))
    assert made == ["x"]


def test_devices_of_the_base_are_left_alone(any_workplace: Workplace) -> None:
    devices = tarball(
        directory("dev"), device("dev/null", 1, 3), directory("d"), device("d/zero", 1, 5)
    )
    assert names(any_workplace, "echo > /d/x\n", devices) == ["d/", "d/x"]


def test_a_directory_with_a_device_that_is_made_again_deletes_the_device(
    any_workplace: Workplace,
) -> None:
    devices = tarball(directory("d"), device("d/zero", 1, 5))
    assert names(any_workplace, "rm -rf /d; mkdir /d\n", devices) == ["d/", "d/.wh.zero"]


def test_ac52_metadata_alone_is_a_change_and_a_new_time_is_none(any_workplace: Workplace) -> None:
    files = tarball(directory("d"), file("d/mode", b"m", mode=0o600), file("d/time", b"t"))
    base = any_workplace.base("base.tar", busybox_layer(), files)
    output = any_workplace.build("chmod 4711 /d/mode; touch /d/time /d\n", base=base)
    layer = top_layer(output)
    assert list(layer) == ["d/", "d/mode"]
    assert layer["d/mode"].mode == 0o4711
    assert content_of(output, "d/mode") == b"m"


CHANGES_OF_TYPE = {
    "file to directory": ("rm /t/file; mkdir /t/file", ["t/", "t/file/"]),
    "directory to file": ("rm -r /t/dir; echo > /t/dir", ["t/", "t/dir"]),
    "symlink to directory": ("rm /t/link; mkdir /t/link", ["t/", "t/link/"]),
    "directory to symlink": ("rm -r /t/dir; ln -s x /t/dir", ["t/", "t/dir"]),
    "file to fifo": ("rm /t/file; mkfifo /t/file", ["t/", "t/file"]),
}


@pytest.mark.parametrize("case", CHANGES_OF_TYPE)
def test_ac53_types_change(case: str, workplace: Workplace) -> None:
    script, expected = CHANGES_OF_TYPE[case]
    old = tarball(
        directory("t"),
        file("t/file", b"f"),
        directory("t/dir"),
        file("t/dir/x"),
        symlink("t/link", "dir"),
    )
    assert names(workplace, script + "\n", old) == expected


def test_a_renamed_directory_is_written_whole_and_its_old_place_deleted(
    any_workplace: Workplace,
) -> None:
    old = tarball(directory("a"), file("a/x", b"1"), directory("a/s"), symlink("a/s/l", "../x"))
    assert names(any_workplace, "mv /a /b\n", old) == [".wh.a", "b/", "b/s/", "b/s/l", "b/x"]


def test_files_made_and_removed_again_leave_nothing(any_workplace: Workplace) -> None:
    assert names(any_workplace, "mkdir /d; echo > /d/x; rm -r /d; echo > /etc/y; rm /etc/y\n") == []


def test_a_copied_file_that_is_equal_is_no_change(any_workplace: Workplace) -> None:
    script = "cp -p /etc/passwd /tmp/p; mv /tmp/p /etc/passwd; rm -r /root; mkdir -m 700 /root\n"
    assert names(any_workplace, script) == []


def test_the_root_directory_is_an_entry_only_if_its_own_metadata_changed(
    any_workplace: Workplace,
) -> None:
    assert names(any_workplace, "chmod 700 /\n") == ["./"]


def test_whiteouts_come_first_and_all_is_sorted_by_bytes(any_workplace: Workplace) -> None:
    old = tarball(directory("d"), file("d/m"), file("d/z"), file("d/B"))
    script = "rm /d/m /d/z /d/B; touch /d/a /d/Z /d/é; mkdir /d/b; touch /d/b/x\n"
    assert names(any_workplace, script, old) == [
        "d/",
        "d/.wh.B",
        "d/.wh.m",
        "d/.wh.z",
        "d/Z",
        "d/a",
        "d/b/",
        "d/b/x",
        "d/é",
    ]


def test_sockets_and_names_like_whiteouts_are_dropped_with_a_word(any_workplace: Workplace) -> None:
    any_workplace.base()
    any_workplace.write("setup.sh", "echo > /.wh.bin; mkfifo /pipe\n")
    done = any_workplace.run("--from", "base.tar", "--script", "setup.sh", "-o", "out.tar")
    assert done.returncode == 0
    assert list(top_layer(any_workplace.path / "out.tar")) == ["pipe"]
    assert b"'.wh.bin'" in done.stderr


def test_fifos_and_symlinks_of_the_base_that_stay_are_no_change(any_workplace: Workplace) -> None:
    old = tarball(directory("d"), fifo("d/pipe"), symlink("d/link", "nowhere"))
    assert names(any_workplace, "chmod 755 /d; touch -h /d/link; touch /d/new\n", old) == [
        "d/",
        "d/new",
    ]
