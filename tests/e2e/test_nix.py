"""rootrun as the builder in a sandboxed nix-build, which refuses set-id modes and setxattr(2).

What it writes there is what it writes anywhere else, byte by byte. Such a build has one uid; those
with many, which Nix makes as root of the machine alone, are in vmtests, and their filter is here.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.programs.difference import difference
from tests.e2e.test_debian import debian  # noqa: F401
from tests.support.images import assert_image_valid
from tests.support.nix import REFUSE, nix_rootrun, try_nix
from tests.support.tarball import device, directory, file, hardlink, opaque, tarball, whiteout
from tests.support.workplace import Workplace, busybox_layer, config_of, content_of, layers_of

pytestmark = [pytest.mark.userns, pytest.mark.peers]

LOWER = tarball(
    directory("d"),
    directory("d/e"),
    file("d/e/old"),
    file("d/old", b"old"),
    directory("r"),
    file("r/old"),
    file("single/x"),
    file("merged/old"),
)
UPPER = tarball(
    directory("d", mode=0o700, mtime=7),
    opaque("d"),
    file("d/new"),
    directory("d/e", mode=0o1777),
    opaque("d/e"),
    file("d/e/new"),
    device("d/device", 1, 3),
    opaque("r"),
    file("r/new"),
    directory("fresh"),
    whiteout("fresh/gone"),
    device("fresh/device", 1, 3),
    hardlink("fresh/link", "single/x"),
    directory("alone"),
    whiteout("alone/gone"),
    device("alone/device", 1, 3),
    file("merged/new"),
    whiteout("merged/old"),
)
SCRIPTS = {
    "changes": "echo new > /etc/motd; chmod 711 /d /root; ln -s d /link; mkfifo /p; mkdir -p /a/b",
    "deletions": "rm -r /d/e /r/new /merged /single; rm /fresh/link; rmdir /tmp",
    "replaced": "rm -r /d /fresh /r; mkdir /d; echo > /d/old; echo > /fresh; mkdir -p /r/new",
    "remade": "rm -r /alone; mkdir /alone; rm -r /fresh; mkdir /fresh",
    "renamed": "mv /r /d/r; mv /d/new /d/e; ln /d/e/new /hard",
    "nothing": "touch /d /d/new; chmod 700 /d; chown 0:0 /d/e; echo > /x; rm /x",
}


CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
HELD_BY_NO_DISK = tarball(
    *(file(f"s/{name}", bytes(3000), mode=0o6755, uid=3, gid=4) for name in "abcdef"),
    *(
        file(f"c/{name}", b"c", xattrs={"security.capability": CAPABILITY, "user.x": b"1"})
        for name in "abcd"
    ),
    file("s/locked", b"l", mode=0o2644),
    directory("s/g", mode=0o2775, gid=8, xattrs={"user.d": b"2"}),
    file("s/g/x"),
    file("h/one", b"h", uid=7),
    hardlink("h/two", "h/one"),
)
ON_SET_IDS = {
    "untouched": "touch /s/a /c/a; chmod 2775 /s/g || true; echo > /s/g/new; echo >> /s/b 2> /x",
    "written": "echo >> /s/a; echo > /c/a; echo >> /s/locked; : > /s/b; : >> /s/c",
    "given away": "chown 0:0 /s/a /c/a /s/locked; chown -R 0:0 /s/g",
    "another mode": "chmod 700 /s/a; chmod 600 /c/a; chmod 644 /s/g/x",
    "replaced": "cp /s/a /new; rm /s/a /c/a; mv /new /s/a; cat /c/b > /c/a; rm -r /s/g; mkdir /s/g",
    "deleted": "rm /s/a /c/a; rm -r /s/g",
    "renamed": "mv /s/a /s/z; mv /c/a /z; mv /s/b /s/c; mv /s/g/x /s/x",
    "linked": "ln /s/a /s/z; ln /c/a /z; chmod 600 /h/one; echo >> /h/two",
    "inherited": "mkdir -p /s/g/a/b; echo > /s/g/new; mkdir /n; mv /n /s/g",
    "seen to be written": """
        echo >> /s/a; : > /s/b; echo >> /s/c; chmod u+s /s/c; echo >> /c/a; cp -p /s/a /n
        stat -c '%n %a' /s/* /n > /l
    """,
    "seen": "ls -ln /s /c /s/g /h | sed 's/ [A-Z].*:.. / /' > /l; find / -xdev -perm -2000 > /f",
}


def both(
    script: str,
    inside: Workplace,
    outside: Workplace,
    *layers: bytes,
    options: Sequence[str] = (),
    refuse_xattrs: bool = False,
) -> tuple[Path, Path]:
    """Run ``script`` in a sandboxed build and outside, and return the two images."""
    layers = (busybox_layer(), *layers)
    base = inside.base("base.tar", *layers)
    build = nix_rootrun(inside, script, base=base, options=options, refuse_xattrs=refuse_xattrs)
    base = outside.base("base.tar", *layers)
    return build.output, outside.build(script, *options, base=base)


def test_the_sandbox_is_one(lone_workplace: Workplace) -> None:
    command = """
        echo ids $(wc -l < /proc/self/uid_map) $(cut -c 23- /proc/self/uid_map)
        echo sys $(ls -d /sys)
        touch x; chmod 4755 x || true
        python3 -c 'import os; os.setxattr("x", "user.x", b"")' || true
        echo > $out
    """
    done = try_nix(lone_workplace, "", base=lone_workplace.base(), command=command)
    assert done.returncode == 0, done.stderr.decode()
    assert b"\nids 1 1\n" in done.stderr
    assert b"\nsys\n" in done.stderr
    assert b"changing permissions of 'x': Operation not permitted\n" in done.stderr
    assert b"OSError: [Errno 95] Operation not supported: 'x'\n" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_the_layer_is_that_of_a_run_outside(
    script: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    inside, outside = both(script, lone_workplace, workplace, LOWER, UPPER)
    assert layers_of(inside) == layers_of(outside)


@pytest.mark.parametrize("refused", [False, True], ids=["setxattr refused", "getxattr as well"])
@pytest.mark.parametrize("script", ON_SET_IDS.values(), ids=ON_SET_IDS.keys())
def test_set_ids_and_capabilities_of_the_base_stay_or_go_as_outside(
    script: str, refused: bool, lone_workplace: Workplace, workplace: Workplace
) -> None:
    inside, outside = both(
        script,
        lone_workplace,
        workplace,
        HELD_BY_NO_DISK,
        options=["--owner", "keep"],
        refuse_xattrs=refused,
    )
    assert layers_of(inside) == layers_of(outside)


def test_the_script_sees_what_it_sees_outside(
    lone_workplace: Workplace, workplace: Workplace
) -> None:
    script = "find /d /r /fresh /alone /merged > /found; ls -ln /d /r /fresh /alone >> /found"
    inside, outside = both(script, lone_workplace, workplace, LOWER, UPPER)
    assert b"/d/e/new\n" in content_of(outside, "found")
    assert content_of(inside, "found") == content_of(outside, "found")


@pytest.mark.parametrize("caller", ["root", "single", "subids"])
def test_the_image_is_that_of_a_run_outside_and_reproducible(
    caller: str, root_workplace: Workplace, lone_workplace: Workplace, workplace: Workplace
) -> None:
    place = {"root": root_workplace, "single": lone_workplace, "subids": workplace}[caller]
    base = place.base("base.tar", busybox_layer(), LOWER, UPPER)
    build = nix_rootrun(place, SCRIPTS["changes"], base=base, check=True)
    outside = place.build(SCRIPTS["changes"], "--name", "out.tar", base=base)
    assert_image_valid(build.output)
    assert layers_of(build.output) == layers_of(outside)
    assert config_of(build.output) == config_of(outside)


def test_a_map_that_cannot_be_had_is_refused_with_the_sandbox_for_a_reason(
    lone_workplace: Workplace,
) -> None:
    command = "rootrun --from $base --script $script -o $out --idmap subids"
    done = try_nix(lone_workplace, "", base=lone_workplace.base(), command=command)
    assert done.returncode != 0
    assert b"error: id map: subids: no_new_privs is set" in done.stderr
    assert b"hint: start rootrun outside of the sandbox that set it, a Nix build" in done.stderr


def test_a_failing_script_fails_the_build_with_its_words(lone_workplace: Workplace) -> None:
    command = "rootrun --from $base --script $script -o $out || { echo status $?; exit 1; }"
    base = lone_workplace.base()
    done = try_nix(lone_workplace, "echo words; exit 7", base=base, command=command)
    assert done.returncode != 0
    assert b"words\n" in done.stderr
    assert b"ended with status 7\n" in done.stderr
    assert b"status 7\n" in done.stderr


def test_an_attribute_that_cannot_be_read_is_not_dropped(lone_workplace: Workplace) -> None:
    base = lone_workplace.base("base.tar", busybox_layer(), HELD_BY_NO_DISK)
    outside = lone_workplace.build("echo >> /c/a", "--cache-dir", "cache", base=base)
    lone_workplace.write("refuse.py", REFUSE)
    run = "python3 refuse.py rootrun --from base.tar --script setup.sh -o again.tar"
    refused = lone_workplace.shell(f"{run} --cache-dir cache")
    assert refused.returncode == 125
    assert b"error: read extended attribute: user.x: " in refused.stderr
    assert b"--no-cache" in refused.stderr
    done = lone_workplace.shell(f"{run} --no-cache")
    assert done.returncode == 0, done.stderr.decode()
    assert layers_of(lone_workplace.path / "again.tar") == layers_of(outside)


WITH_MANY_IDS = ON_SET_IDS | {
    "given": """
        umask 0; mkdir /n; echo > /n/f; umask 022
        chmod 2775 /n; chmod 6711 /n/f; cp -a /n /m; mv /n/f /n/g
        chown 0:9 /n; mkdir /n/d; echo > /n/new; ln -s x /n/link; mkfifo /n/p; mknod /n/c c 1 3
        stat -c '%n %a %u:%g' /n /n/* /m /m/* /s/* > /l
    """,
    "by others": """
        mkdir -m 777 /n; chown 0:7 /n; chmod 2777 /n
        umask 002; su app -c 'mkdir /n/d; echo > /n/d/f; echo > /n/f; ln -s x /n/l; mkfifo /n/p'
        su app -c 'chmod 4755 /n/f; chmod 2755 /n/d; mkdir /n/d/e'
        su app -c 'chmod 4755 /s/a || chmod 600 /s/a || echo > /s/g/y || mkdir /s/g/z' 2> /x || :
        su app -c 'touch /s/a || rm /s/b || mv /s/g/x /n/x || chown 1000 /n/f' 2>> /x || :
        ls -ln /s /n /n/d | sed 's/ [A-Z].*:.. / /' > /l
    """,
}


@pytest.mark.root
@pytest.mark.parametrize("rootfs", ["overlay", "copy"])
@pytest.mark.parametrize("script", WITH_MANY_IDS.values(), ids=WITH_MANY_IDS.keys())
def test_with_many_ids_set_ids_and_owners_are_those_without_the_filter(
    script: str, rootfs: str, root_workplace: Workplace
) -> None:
    place = root_workplace
    place.base("base.tar", busybox_layer(), LOWER, UPPER, HELD_BY_NO_DISK)
    options = ["--owner", "keep", "--rootfs", rootfs]
    expected = place.build(script, *options)
    place.write("refuse.py", REFUSE)
    run = "python3 refuse.py rootrun --from base.tar --script setup.sh -o filtered.tar"
    done = place.shell(f"{run} --no-cache {' '.join(options)}")
    assert done.returncode == 0, done.stderr.decode()
    assert b"id map: root: " in done.stderr
    filtered = place.path / "filtered.tar"
    assert not difference(layers_of(expected)[-1], layers_of(filtered)[-1])


@pytest.mark.slow
def test_a_debian_is_changed_as_outside(
    debian: Path,  # noqa: F811
    lone_workplace: Workplace,
    workplace: Workplace,
) -> None:
    script = """
        find /usr/bin /var /etc -xdev -exec touch {} +
        useradd --create-home app
        install -d -o app -g app /srv/app
        chown -R app:app /opt
        rm -r /usr/share/doc; mkdir /usr/share/doc
        mkdir /var/mail/new /var/local/new; echo > /var/local/new/file
        mv /usr/bin/chage /usr/bin/renamed
        chown root:root /usr/bin/passwd
        echo >> /usr/bin/newgrp
    """
    keep = ["--owner", "keep"]
    inside = nix_rootrun(lone_workplace, script, base=debian, options=keep).output
    outside = workplace.build(script, *keep, base=debian)
    assert layers_of(inside)[-1] == layers_of(outside)[-1]
