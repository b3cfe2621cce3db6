"""With a single uid, chown and mknod succeed, and the layer has what real ids would give it."""

import tarfile
from pathlib import Path

import pytest

from tests.support.tarball import device, directory, file, symlink, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of, layers_of, top_layer

pytestmark = pytest.mark.userns

LEVELS = ("record", "full")
KEEP = ("--owner", "keep")
BASE = tarball(
    directory("srv", uid=5, gid=6),
    file("srv/file", b"content", mode=0o4755, uid=5, gid=6),
    file("srv/other", b"content", uid=7, gid=8),
    symlink("srv/link", "file"),
    directory("srv/d", mode=0o700, uid=1, gid=1),
    file("srv/d/x", mode=0, uid=1, gid=1),
    file(
        "owned.tar",
        tarball(directory("t", uid=30, gid=31), file("t/f", b"f", mode=0o4711, uid=32, gid=33)),
    ),
)

# No call in these depends on what stat(2) tells of an owner.
PLAIN = {
    "a new file": "touch /n; chown 5:6 /n",
    "uid alone": "touch /n; chown 5 /n",
    "group alone": "touch /n; chgrp 6 /n",
    "back to root": "chown 0:0 /srv/file",
    "names of the image": "touch /n; chown app:extra /n",
    "a directory": "chown 9:9 /srv",
    "the root directory": "chown 9:9 /",
    "a tree": "chown -R 9:10 /srv",
    "a symlink": "chown -h 9:10 /srv/link",
    "through a symlink": "chown 9:10 /srv/link",
    "an absolute symlink": "ln -s /srv/other /l; chown 9:10 /l",
    "a symlinked directory": "ln -s /srv /s; cd /; chown 9:10 s/d/../other ../s/file",
    "set-id bits": "chown 9:10 /srv/file",
    "set-id bits after": "chown 9:10 /srv/file; chmod 6755 /srv/file",
    "renamed": "touch /n; chown 9:10 /n; mv /n /m",
    "linked": "touch /n; chown 9:10 /n; ln /n /m",
    "written and chmodded": "touch /n; chown 9:10 /n; echo x > /n; chmod 600 /n",
    "deleted": "touch /n; chown 9:10 /n; rm /n; touch /n",
    "replaced": "touch /n /m; chown 9:10 /n; mv /m /n",
    "a relative path": "cd /srv/d; chown 9:10 x ../other",
    "a chroot": "mkdir /j /j/bin; cp /bin/busybox /j/bin; touch /j/f\n"
    "busybox chroot /j /bin/busybox sh -c 'busybox chown 9:10 /f bin/../f'; chmod 700 /j/f",
    "a removed tree": "chown -R 9:10 /srv; rm -r /srv/d",
    "no such file": "chown 9:10 /nothing 2> /said || echo $? >> /said",
    "not of the root": "touch /dev/shm/x; chown 9:10 /dev/shm/x; chown 9:10 /tmp",
    "an unpacked tar": "cd /tmp; tar xf /owned.tar; rm /owned.tar",
    "sticky and fifo": "mkfifo /p; chown 9:10 /p; chmod 1777 /srv",
}
# These show the owner to the script, or take it from there.
SEEING = {
    # The chgrp of busybox sets both: the owner that it saw, and the group.
    "one after the other": "touch /n; chown 5 /n; chgrp 6 /n; chown 7 /n",
    "group of the base's": "chgrp 9 /srv/other",
    "stat": "touch /n; chown 5:6 /n; stat -c '%u %g %a %n' /n /srv /srv/* /srv/d/x > /said",
    "ls": "chown -h 5:6 /srv/link; ls -ln /srv | sed 's/ [A-Z].*:.. / /' > /said",
    "find": "find / -xdev -user 5 > /said; find / -xdev -group 8 >> /said",
    "cp -a": "cp -a /srv /copy",
    "cp -a of what is new": "mkdir /n; touch /n/f; chown 9:10 /n/f; cp -a /n /m",
    "tar": "cd /srv; touch -d @0 . * d/*; tar cf - file other d | (cd /tmp; tar xf -)",
    "linked before": "touch /n; ln /n /m; mv /m /o; ln /o /p; chown 5:6 /n; mv /p /q\n"
    "stat -c '%u %n' /n /o /q > /said; mkdir /d; ln /q /d/r; cp -a /d/r /o /copy-r 2>&1 || :\n"
    "cp -a /d /copy",
    "exchanged directories": "mkdir /a /b; touch /a/f; chown 5 /a /a/f; mv /a /c; mv /b /a\n"
    "stat -c '%u %n' /a /c /c/f > /said",
    "a file replaced by its like": "cp -p /srv/other /o; echo x >> /o; mv /o /srv/other",
}


def assert_same_as_subids(script: str, level: str, *, lone: Workplace, many: Workplace) -> None:
    layers = [busybox_layer(), BASE]
    with_many = many.build(script, *KEEP, base=many.base("base.tar", *layers))
    alone = lone.build(script, *KEEP, "--emulate", level, base=lone.base("base.tar", *layers))
    assert layers_of(alone)[-1] == layers_of(with_many)[-1]
    assert top_layer(with_many), "nothing was changed"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", PLAIN)
def test_owners_are_those_of_real_ids(
    case: str, level: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    script = f"{PLAIN[case]}\ntouch /end\n"
    assert_same_as_subids(script, level, lone=lone_workplace, many=workplace)


@pytest.mark.parametrize("case", SEEING)
def test_full_shows_the_owners_of_real_ids(
    case: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    assert_same_as_subids(f"{SEEING[case]}\n", "full", lone=lone_workplace, many=workplace)


def test_a_lone_id_gets_full(lone_workplace: Workplace, workplace: Workplace) -> None:
    assert_same_as_subids(f"{SEEING['cp -a']}\n", "auto", lone=lone_workplace, many=workplace)


def test_record_shows_nothing(lone_workplace: Workplace) -> None:
    script = "touch /n; chown 5:6 /n; stat -c %u /n > /said\n"
    output = lone_workplace.build(script, *KEEP, "--emulate", "record")
    assert content_of(output, "said") == b"0\n"
    assert (top_layer(output)["n"].uid, top_layer(output)["n"].gid) == (5, 6)


def test_owners_do_not_matter_without_owner_keep(
    lone_workplace: Workplace, workplace: Workplace
) -> None:
    script = "touch /n; chown 5:6 /n; chown 7 /srv/other\n"
    outputs = {
        place.build(script, base=place.base("base.tar", busybox_layer(), BASE)).read_bytes()
        for place in (lone_workplace, workplace)
    }
    assert len(outputs) == 1


DEVICES = """\
mknod /null c 1 3; mknod -m 600 /disk b 259 70000; mkdir /d; cd /d; mknod zero c 1 5
umask 077; mknod /d/../masked c 10 200; chown 3:4 /disk; mv /null /moved; mkfifo /pipe
mknod /null c 1 3; rm /null; touch /null; chmod 640 /d/zero
mknod /moved c 1 3 2> /dev/null || echo $? > /there
"""


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("owner", ["keep", "root"])
def test_devices_are_in_the_layer(owner: str, level: str, any_workplace: Workplace) -> None:
    output = any_workplace.build(DEVICES, "--emulate", level, "--owner", owner)
    layer = top_layer(output)
    made = {
        name: (member.type, member.mode, member.devmajor, member.devminor)
        for name, member in layer.items()
        if member.type not in (tarfile.DIRTYPE, tarfile.REGTYPE)
    }
    assert made == {
        "d/zero": (tarfile.CHRTYPE, 0o640, 1, 5),
        "disk": (tarfile.BLKTYPE, 0o600, 259, 70000),
        "masked": (tarfile.CHRTYPE, 0o600, 10, 200),
        "moved": (tarfile.CHRTYPE, 0o644, 1, 3),
        "pipe": (tarfile.FIFOTYPE, 0o600, 0, 0),
    }
    assert layer["null"].isreg()
    assert content_of(output, "there") == b"1\n"
    disk = (layer["disk"].uid, layer["disk"].gid)
    assert disk == ((3, 4) if owner == "keep" else (0, 0))


@pytest.mark.parametrize("case", ["group of the base's", "back to root", "a tree"])
def test_with_ids_enough_record_changes_nothing(case: str, workplace: Workplace) -> None:
    script = {**PLAIN, **SEEING}[case] + "\nchown 9:700000 /srv/d 2> /dev/null || :\nrm -r /srv/d\n"
    base = workplace.base("base.tar", busybox_layer(), BASE)
    outputs = [
        workplace.build(script, *KEEP, "--emulate", level, base=base).read_bytes()
        for level in ("off", "record", "full")
    ]
    assert len(set(outputs)) == 1


def test_ids_beyond_the_range_are_remembered(workplace: Workplace) -> None:
    script = "touch /n; chown 700000:7 /n\n"
    layer = top_layer(workplace.build(script, *KEEP, "--emulate", "record"))
    assert (layer["n"].uid, layer["n"].gid) == (700000, 7)


def test_who_is_not_root_gets_no_help(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), tarball(directory("t", mode=0o777)))
    script = "set +e; chown 1000 /bin/busybox; mknod /t/x c 1 3; touch /t/f; chown 0 /t/f; :\n"
    output = workplace.build(script, *KEEP, "--emulate", "record", "--user", "app", base=base)
    layer = top_layer(output)
    assert list(layer) == ["t/", "t/f"]
    assert layer["t/f"].uid == 1000


def test_full_shows_devices_as_such(lone_workplace: Workplace) -> None:
    script = "mknod -m 660 /disk b 259 70000; stat -c '%F %t %T %a' /disk > /said\n"
    output = lone_workplace.build(script, "--emulate", "full")
    assert content_of(output, "said") == b"block special file 103 11170 660\n"


def test_a_device_takes_the_place_of_a_file_of_the_base(lone_workplace: Workplace) -> None:
    base = lone_workplace.base("base.tar", busybox_layer(), BASE)
    output = lone_workplace.build("rm /srv/other; mknod /srv/other c 1 3\n", base=base)
    assert top_layer(output)["srv/other"].type == tarfile.CHRTYPE


@pytest.mark.parametrize("level", ["record", "full", "fast"])
def test_calls_that_set_ids_succeed(level: str, lone_workplace: Workplace) -> None:
    script = "su app -c 'echo $0 $HOME' > /said\n"
    output = lone_workplace.build(script, "--emulate", level)
    assert content_of(output, "said").endswith(b"/home/app\n")


def test_fast_forgets(lone_workplace: Workplace) -> None:
    script = "touch /n; chown 5:6 /n; mknod /null c 1 3\n"
    layer = top_layer(lone_workplace.build(script, *KEEP, "--emulate", "fast"))
    assert [(n, m.uid, m.gid) for n, m in layer.items()] == [("n", 0, 0)]


def test_off_leaves_it_to_the_kernel(lone_workplace: Workplace) -> None:
    script = "touch /n; chown 5:6 /n 2> /said || echo $? >> /said\n"
    said = content_of(lone_workplace.build(script, "--emulate", "off"), "said")
    assert b"Invalid argument" in said
    assert said.endswith(b"\n1\n")


def test_owners_are_remembered_from_step_to_step(lone_workplace: Workplace) -> None:
    second = lone_workplace.write("second.sh", "mv /n /m; touch /o; chown 7:8 /o\n")
    first, steps = "touch /n; chown 5:6 /n\n", ("--script", second, *KEEP)
    for options, hidden in ((("--squash",), {}), ((), {".wh.n": (0, 0)})):
        output = lone_workplace.build(first, *steps, *options)
        owners = {name: (member.uid, member.gid) for name, member in top_layer(output).items()}
        assert owners == {"m": (5, 6), "o": (7, 8), **hidden}


def test_a_bound_directory_keeps_its_owner(lone_workplace: Workplace, tmp_path: Path) -> None:
    shared = lone_workplace.path / "shared"
    shared.mkdir()
    lone_workplace.own(shared)
    before = lone_workplace.write("shared/f", "x").stat()
    lone_workplace.build("chown 5:6 /shared/f\n", "--bind", f"{shared}:/shared", *KEEP)
    after = (shared / "f").stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


BASE_DEVICES = tarball(
    directory("srv/dev"),
    device("srv/dev/null", 1, 3, mode=0o666, uid=3, gid=4),
    device("srv/dev/disk", 8, 1, kind="block", mode=0o660),
    device("srv/dev/old", 1, 5),
)
DEVICE_SCRIPTS = {
    "seen": "stat -c '%F %t %T %a %u %n' /srv/dev/* > /said",
    "untouched": "touch /srv/dev/new",
    "chmod": "chmod 600 /srv/dev/null",
    "chown": "chown 7 /srv/dev/disk; chown 3:4 /srv/dev/null",
    "renamed": "mv /srv/dev/null /srv/dev/zero; mv /srv/dev/disk /d",
    "linked": "ln /srv/dev/null /srv/n",
    "deleted": "rm /srv/dev/null",
    "replaced": "rm /srv/dev/null /srv/dev/old; echo > /srv/dev/null; mknod /srv/dev/old c 1 7",
    "copied": "cp -a /srv/dev /copy",
    "written to": "echo x > /srv/dev/null; : < /srv/dev/null; touch /end",
    "a tree": "chown -R 9 /srv",
}


@pytest.mark.parametrize("case", DEVICE_SCRIPTS)
def test_devices_of_the_base_are_the_same_with_all_id_maps(
    case: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    outputs = {
        place.build(
            f"{DEVICE_SCRIPTS[case]}\n",
            *KEEP,
            base=place.base("base.tar", busybox_layer(), BASE_DEVICES),
        ).read_bytes()
        for place in (workplace, lone_workplace)
    }
    assert len(outputs) == 1
    output = lone_workplace.path / "out.tar"
    if case == "seen":
        assert content_of(output, "said") == (
            b"block special file 8 1 660 0 /srv/dev/disk\n"
            b"character special file 1 3 666 3 /srv/dev/null\n"
            b"character special file 1 5 644 0 /srv/dev/old\n"
        )
    types = {n: m.type for n, m in top_layer(output).items() if not n.endswith("/")}
    made = EXPECTED_TYPES.get(case, {})
    assert {name: types[name] for name in made} == made


EXPECTED_TYPES = {
    "chmod": {"srv/dev/null": tarfile.CHRTYPE},
    "chown": {"srv/dev/disk": tarfile.BLKTYPE},
    "renamed": {"srv/dev/zero": tarfile.CHRTYPE, "d": tarfile.BLKTYPE},
    "replaced": {"srv/dev/null": tarfile.REGTYPE, "srv/dev/old": tarfile.CHRTYPE},
    "copied": {"copy/null": tarfile.CHRTYPE, "copy/disk": tarfile.BLKTYPE},
}


def test_a_chrooted_process_is_shown_what_its_own_root_has(
    lone_workplace: Workplace, workplace: Workplace
) -> None:
    script = """\
mkdir -p /j/bin /j/e; cp /bin/busybox /j/bin; touch /j/f /j/e/f; chown 5:6 /j/f; chown 7:8 /j/e/f
stat -c '%u %n' /j/f /srv/file > /said
busybox chroot /j /bin/busybox stat -c '%u %n' /f /e/f f >> /said
ln -s /f /j/l; busybox chroot /j /bin/busybox stat -L -c '%u %n' /l l /bin/busybox >> /said
ln -s /srv/file /l; stat -L -c '%u %n' /l /j/../srv/./file >> /said
"""
    assert_same_as_subids(script, "full", lone=lone_workplace, many=workplace)
