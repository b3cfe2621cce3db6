"""The root that the script sees, and what it can do there; copied-in files; ownership."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.peers import run_in_rootfs, unpacked_by_umoci
from tests.support.tarball import directory, file, hardlink, opaque, symlink, tarball, whiteout
from tests.support.workplace import Workplace, busybox_layer, content_of, layers_of, top_layer

pytestmark = pytest.mark.userns


def says(workplace: Workplace, script: str, *args: str | Path, base: Path | None = None) -> bytes:
    """Return what a script writes to /said."""
    output = workplace.build(script, *args, base=base)
    return content_of(output, "said")


def test_ac4_other_users_go_through_directories_of_the_base(workplace: Workplace) -> None:
    store = tarball(
        directory("nix"),
        directory("nix/store"),
        file("nix/store/tool", b"#!/bin/sh\necho ok\n", 0o555),
    )
    base = workplace.base("base.tar", busybox_layer(), store)
    script = "su -s /bin/sh app -c /nix/store/tool > /said; stat -c %a /nix /nix/store >> /said\n"
    assert says(workplace, script, base=base) == b"ok\n755\n755\n"


def test_ac5_symlinks_keep_their_targets(any_workplace: Workplace) -> None:
    links = tarball(
        symlink("absolute", "/etc/passwd"), symlink("relative", "etc/../x"), symlink("gone", "../n")
    )
    base = any_workplace.base("base.tar", busybox_layer(), links)
    script = """\
ln -s /a/b /new; mv /gone /moved
readlink /absolute > /said; readlink /relative >> /said
"""
    output = any_workplace.build(script, base=base)
    layer = top_layer(output)
    assert (layer["new"].linkname, layer["moved"].linkname) == ("/a/b", "../n")
    assert content_of(output, "said") == b"/etc/passwd\netc/../x\n"


def test_ac7_accounts_are_added_and_the_shadow_keeps_its_mode(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), tarball(file("etc/shadow", b"", 0o640)))
    script = (
        "echo 'web:x:101:101::/var/web:/bin/sh' >> /etc/passwd\necho web:!::::::: >> /etc/shadow\n"
    )
    layer = top_layer(workplace.build(script, base=base))
    assert list(layer) == ["etc/", "etc/passwd", "etc/shadow"]
    assert layer["etc/shadow"].mode == 0o640


def test_ac9_scripts_are_taken_to_the_letter(any_workplace: Workplace) -> None:
    script = "cat > '/run As Root' <<'END'\n(a \"quote' $(x) `y` \\n )\nEND\n"
    output = any_workplace.build(script)
    assert content_of(output, "run As Root") == b"(a \"quote' $(x) `y` \\n )\n"


def test_ac20_a_root_is_made_from_nothing(any_workplace: Workplace) -> None:
    copies = ("--copy", "/bin/busybox:/bin/busybox", "--copy", "/bin/busybox:/bin/sh")
    output = any_workplace.build("/bin/busybox mkdir /made\n", *copies, base="scratch")
    assert list(top_layer(output)) == ["bin/", "bin/busybox", "bin/sh", "made/"]


def test_ac23_a_symlink_at_the_top_stays_one(any_workplace: Workplace) -> None:
    layer = top_layer(any_workplace.build("ln -s usr/store /store\n"))
    assert layer["store"].issym()
    assert layer["store"].linkname == "usr/store"


def test_ac25_a_new_owner_is_kept_or_normalized_as_asked(any_workplace: Workplace) -> None:
    script = "mkdir -p /home/alice; chown 1000:100 /home/alice\n"
    plain = top_layer(any_workplace.build(script))
    assert (plain["home/alice/"].uid, plain["home/alice/"].gid) == (0, 0)
    kept = top_layer(any_workplace.build(script, "--owner", "keep", output="kept.tar"))
    assert (kept["home/alice/"].uid, kept["home/alice/"].gid) == (1000, 100)


def test_dropped_owners_are_counted_and_the_option_is_named(workplace: Workplace) -> None:
    workplace.base()
    args = ("--from", "base.tar", "-o", "o.tar", "--", "sh", "-c", "touch /a /b; chown 5 /a /b")
    done = workplace.run(*args)
    assert done.returncode == 0
    assert b"2 changed paths with another owner" in done.stderr
    assert b"--owner keep" in done.stderr


def test_a_new_owner_alone_is_a_change_only_if_owners_are_kept(workplace: Workplace) -> None:
    script = "chown 1000 /etc/passwd\n"
    assert list(top_layer(workplace.build(script))) == []
    kept = top_layer(workplace.build(script, "--owner", "keep", output="kept.tar"))
    assert list(kept) == ["etc/", "etc/passwd"]


def test_ac27_a_fixed_owner_is_given_to_every_change(any_workplace: Workplace) -> None:
    old = tarball(directory("home", uid=7, gid=8), directory("home/u", uid=9, gid=9))
    base = any_workplace.base("base.tar", busybox_layer(), old)
    output = any_workplace.build("echo > /home/u/x\n", "--owner", "1000:1000", base=base)
    layer = top_layer(output)
    owners = {name: (member.uid, member.gid) for name, member in layer.items()}
    assert owners == {"home/": (7, 8), "home/u/": (9, 9), "home/u/x": (1000, 1000)}


def test_owners_and_modes_of_untouched_ancestors_stay_with_one_uid_too(
    lone_workplace: Workplace,
) -> None:
    old = tarball(
        directory("srv", uid=33, gid=33, mode=0o2770), file("srv/f", b"x", uid=33, gid=34)
    )
    base = lone_workplace.base("base.tar", busybox_layer(), old)
    layer = top_layer(lone_workplace.build("echo y >> /srv/f\n", "--owner", "keep", base=base))
    assert [(m.name, m.uid, m.gid, m.mode) for m in layer.values()] == [
        ("srv", 33, 33, 0o2770),
        ("srv/f", 33, 34, 0o644),
    ]


def test_ac28_absolute_paths_mean_the_image(any_workplace: Workplace) -> None:
    layer = top_layer(any_workplace.build("mkdir /opt; ln -s /bin/busybox /opt/hello\n"))
    assert list(layer) == ["opt/", "opt/hello"]


def test_ac31_a_directory_and_a_file_are_copied_in(any_workplace: Workplace) -> None:
    (any_workplace.path / "content").mkdir()
    any_workplace.write("content/hello.txt", "hello")
    any_workplace.write("plain", "plain", mode=0o600)
    copies = ("--copy", "content", "--copy", "plain:/etc/", "--copy", "plain:/etc/renamed")
    output = any_workplace.build("cat /hello.txt /etc/renamed > /said\n", *copies)
    assert list(top_layer(output)) == ["etc/", "etc/plain", "etc/renamed", "hello.txt", "said"]
    assert content_of(output, "said") == b"helloplain"
    assert top_layer(output)["etc/plain"].mode == 0o600


def test_ac54_copied_files_follow_the_symlinks_of_a_merged_usr(any_workplace: Workplace) -> None:
    merged = tarball(
        directory("usr"), directory("usr/bin"), symlink("sbin", "usr/bin"), symlink("var", "/usr")
    )
    base = any_workplace.base("base.tar", busybox_layer(), merged)
    (any_workplace.path / "tree" / "sbin").mkdir(parents=True)
    (any_workplace.path / "tree" / "var").mkdir()
    any_workplace.write("tree/sbin/tool", "tool", mode=0o755)
    any_workplace.write("tree/var/x", "x")
    output = any_workplace.build("test -L /sbin\n", "--copy", "tree", base=base)
    assert list(top_layer(output)) == ["usr/", "usr/bin/", "usr/bin/tool", "usr/x"]


@pytest.mark.peers
def test_ac30_an_export_is_the_merged_root(workplace: Workplace, public_path: Path) -> None:
    more = [tarball(directory(f"d{n}"), file(f"d{n}/f", b"%d" % n)) for n in range(45)]
    base = workplace.base("base.tar", busybox_layer(), *more, tarball(whiteout("d7")))
    done = workplace.run("export", base, "-o", "rootfs.tar")
    assert done.returncode == 0, done.stderr.decode()
    exported = public_path / "exported"
    exported.mkdir()
    subprocess.run(["tar", "-xpf", workplace.path / "rootfs.tar", "-C", exported], check=True)
    with unpacked_by_umoci(base, public_path) as rootfs:
        assert listing(exported) == listing(rootfs)
    assert "bin/busybox" in listing(exported)
    assert "d7" not in listing(exported)


def listing(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return what a tree is: by path the mode, owner and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = os.fsencode(os.readlink(path)) if path.is_symlink() else b""
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
        name = str(path.relative_to(root))
        found[name] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


@pytest.mark.parametrize("before", [True, False], ids=["marker first", "marker last"])
def test_ac42_an_opaque_directory_hides_what_is_below(
    before: bool, any_workplace: Workplace
) -> None:
    lower = tarball(directory("d"), file("d/old", b"o"), directory("d/sub"), file("d/sub/old"))
    new = [file("d/new", b"n"), directory("d/sub"), file("d/sub/new")]
    entries = [opaque("d"), *new] if before else [*new, opaque("d")]
    base = any_workplace.base("base.tar", busybox_layer(), lower, tarball(directory("d"), *entries))
    output = any_workplace.build("find /d | sort > /said\n", base=base)
    assert content_of(output, "said") == b"/d\n/d/new\n/d/sub\n/d/sub/new\n"


@pytest.mark.peers
def test_ac43_ac53_other_tools_unpack_the_tree_that_the_script_left(
    workplace: Workplace, public_path: Path
) -> None:
    old = tarball(
        directory("d"),
        file("d/a"),
        directory("d/s"),
        file("d/s/x"),
        file("f", b"f"),
        symlink("l", "d"),
    )
    base = workplace.base("base.tar", busybox_layer(), old)
    script = "rm -r /d; mkdir /d; echo > /d/n; rm /f; mkdir /f; rm /l; mkdir /l; echo > /l/y\n"
    output = workplace.build(script, base=base)
    with unpacked_by_umoci(output, public_path) as rootfs:
        assert run_in_rootfs(rootfs, "/bin/find", "/d", "/f", "/l") == b"/d\n/d/n\n/f\n/l\n/l/y\n"


def test_ac51_two_hundred_layers_work(any_workplace: Workplace) -> None:
    layers = [tarball(directory("n"), file(f"n/{number}", b"x")) for number in range(199)]
    base = any_workplace.base("base.tar", busybox_layer(), *layers)
    output = any_workplace.build("ls /n | wc -l > /said\n", base=base)
    assert content_of(output, "said") == b"199\n"
    assert len(layers_of(output)) == 201


def test_ac15_a_layer_listed_twice_counts_where_it_is_last(any_workplace: Workplace) -> None:
    one, two = tarball(file("x", b"one")), tarball(file("x", b"two"))
    base = any_workplace.base("base.tar", busybox_layer(), one, two, one)
    output = any_workplace.build("cp /x /said\n", base=base)
    assert content_of(output, "said") == b"one"
    assert len(layers_of(output)) == 5


def test_entries_without_parents_belong_below_the_symlinks_of_lower_layers(
    any_workplace: Workplace,
) -> None:
    lower = tarball(directory("usr"), directory("usr/lib"), symlink("lib", "usr/lib"))
    upper = tarball(file("lib/x", b"x"))
    base = any_workplace.base("base.tar", busybox_layer(), lower, upper)
    script = "test -L /lib; cp /usr/lib/x /said\n"
    assert says(any_workplace, script, base=base) == b"x"


def test_entries_without_parents_leave_the_metadata_of_lower_layers(
    any_workplace: Workplace,
) -> None:
    base = any_workplace.base("base.tar", busybox_layer(), tarball(file("tmp/x")))
    output = any_workplace.build("stat -c %a /tmp > /said; echo > /tmp/y\n", base=base)
    assert content_of(output, "said") == b"1777\n"
    assert top_layer(output)["tmp/"].mode == 0o1777


def test_a_hard_link_to_a_lower_layer_has_its_content(any_workplace: Workplace) -> None:
    upper = tarball(hardlink("etc/copy", "etc/passwd"))
    base = any_workplace.base("base.tar", busybox_layer(), upper)
    assert says(any_workplace, "cmp /etc/copy /etc/passwd && cp /etc/copy /said\n", base=base)


def test_an_opaque_root_hides_all_layers_below(any_workplace: Workplace) -> None:
    lower = tarball(file("gone"), directory("bin"), file("bin/gone"))
    upper = busybox_layer(opaque(""))
    base = any_workplace.base("base.tar", lower, upper)
    output = any_workplace.build("ls -d /gone /bin/gone > /said 2>&1 || :; rm -r /tmp\n", base=base)
    assert b"No such file" in content_of(output, "said")
    assert list(top_layer(output)) == [".wh.tmp", "said"]
