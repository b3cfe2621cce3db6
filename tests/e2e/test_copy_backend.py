"""A copied root gives the layer that an overlay gives, byte for byte, for every caller."""

import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.test_fakeroot_xattr import MACHINE, USR
from tests.support.arbitrary import (
    OPERATIONS,
    TOP,
    XATTR_OPERATIONS,
    ArbitraryLayer,
    arbitrary_layer,
)
from tests.support.merged import Tree, merged, nodes_of
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
from tests.support.workplace import Workplace, busybox_layer, layers_of, top_layer

pytestmark = pytest.mark.userns
EACH_CALLER = pytest.mark.parametrize("any_workplace", ["root", "subids", "single"], indirect=True)

OVERLAY, COPY = ("--rootfs", "overlay"), ("--rootfs", "copy")
BASE = (
    directory("d", mode=0o750, uid=5, gid=6),
    file("d/f", b"content", uid=5, gid=6),
    file("d/set", b"id", mode=0o4755, uid=5),
    directory("d/sub", mode=0o2755, gid=7),
    file("d/sub/x", b"x", uid=8),
    symlink("d/l", "f", uid=9),
    fifo("d/pipe", mode=0o600),
    device("d/zero", 1, 5),
    hardlink("d/linked", "d/f"),
    file("gone"),
)
OVER = (file("d/sub/upper", b"u", uid=3), whiteout("gone"), hardlink("d/foreign", "d/sub/x"))

CASES = {
    "nothing": "cat /d/f /d/sub/x; ls -lR /d",
    "write in place": "printf C | dd of=/d/f conv=notrunc",
    "append": "echo >> /d/sub/x",
    "write the same": "printf content > /d/f; printf content > /d/linked",
    "write by one link": "echo new > /d/linked",
    "write a set-id file": "printf ID > /d/set",
    "chmod": "chmod 600 /d/f; chmod 700 /d/sub; chmod 4711 /d/set",
    "chmod and back": "chmod 600 /d/f; chmod 644 /d/f; chmod 700 /d; chmod 750 /d",
    "touch": "touch /d /d/f /d/sub /d/set /d/pipe",
    "chown": "chown 1:2 /d/f /d/sub; chown -h 3:4 /d/l; chown 5 /d/set",
    "rename a directory": "mv /d/sub /moved; mv /d /e",
    "rename over": "mv /d/sub/x /d/f; mv /d/set /d/sub/upper",
    "rename and back": "mv /d/sub /s; mv /s /d/sub; mv /d/f /f; mv /f /d/f",
    "link": "ln /d/f /d/other; ln /d/set /d/sub/x2; echo >> /d/other",
    "make again": "rm -rf /d; mkdir /d; echo x > /d/f",
    "make the same again": "rm /d/f; printf content > /d/f; rm /d/l; ln -s f /d/l",
    "other types": "rm -r /d/sub /d/f; echo > /d/sub; mkdir /d/f; rm /d/pipe; ln -s f /d/pipe",
    "a device": "rm -f /d/zero; mknod /d/null c 1 3 || true",
    "in new directories": "mkdir -p /new/a/b; mv /d/sub /new/a/b; rm -r /new/a/b/sub/x",
    "the root": "chmod 711 /; chown 1:1 /",
    "a mount point's parent": "mkdir -p /mnt/y /sys2; touch /mnt/y/z; chmod 700 /mnt",
}
UNCHANGED = {
    *("nothing", "touch", "write the same", "chmod and back", "rename and back"),
    "make the same again",
}


def both(place: Workplace, script: str, *args: str) -> tuple[bytes, bytes]:
    """Return the layers that ``script`` makes on ``base.tar`` in an overlay and in a copy."""
    outputs = [
        place.build(
            script, *backend, *args, base=place.path / "base.tar", output=f"{backend[1]}.tar"
        )
        for backend in (OVERLAY, COPY)
    ]
    overlay, copy = (layers_of(output)[-1] for output in outputs)
    return overlay, copy


def told(layer: bytes) -> list[object]:
    """Return what a layer says, for a failing test to show."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return [
            (m.name, m.type, oct(m.mode), m.uid, m.gid, m.size, m.linkname, m.pax_headers)
            for m in tar
        ]


@EACH_CALLER
@pytest.mark.parametrize("owner", ["root", "keep"])
@pytest.mark.parametrize("case", CASES)
def test_a_copy_gives_the_same_layer(case: str, owner: str, any_workplace: Workplace) -> None:
    any_workplace.base("base.tar", busybox_layer(), tarball(*BASE), tarball(*OVER))
    bind = ("--bind", f"{any_workplace.path}:/mnt/x:ro")
    overlay, copy = both(any_workplace, f"{CASES[case]}\n", "--owner", owner, *bind)
    assert told(copy) == told(overlay)
    assert copy == overlay
    assert (told(copy) == []) == (case in UNCHANGED) or owner == "keep"


@EACH_CALLER
@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    layers=st.lists(arbitrary_layer(), min_size=1, max_size=3),
    operations=st.lists(OPERATIONS | OPERATIONS | XATTR_OPERATIONS, max_size=12),
    owner=st.sampled_from(["root", "keep"]),
)
def test_whatever_a_script_does_a_copy_gives_the_same_layer(
    layers: list[ArbitraryLayer], operations: list[str], owner: str, any_workplace: Workplace
) -> None:
    place = any_workplace
    out = place.path / "out"
    out.mkdir(exist_ok=True)
    place.own(out)
    place.base("base.tar", busybox_layer(), USR, *(layer.content for layer in layers))
    lines = [f"{{ {operation}; }} 2>/dev/null || true" for operation in operations]
    # Where rename(2) is EXDEV, as of directories in an overlay, busybox's mv drops attributes.
    move = 'mv() { /usr/bin/mv "$@"; }'
    script = "\n".join([move, *lines, f"tar cf /out/left.tar -C / {TOP}", ""])
    bind = ("--bind", f"{out}:/out", *MACHINE, "--timeout", "60", "--owner", owner)
    overlay, copy = both(place, script, *bind)
    assert told(copy) == told(overlay)
    assert copy == overlay
    result = merged(layers_of(place.path / "copy.tar"))
    assert _below_top(result) == _below_top(nodes_of((out / "left.tar").read_bytes()))


def _below_top(tree: Tree) -> Tree:
    return {
        path: node.without_owner()
        for path, node in tree.items()
        if path == TOP or path.startswith(f"{TOP}/")
    }


def test_the_cache_is_as_it_was_whatever_the_script_does(any_workplace: Workplace) -> None:
    place = any_workplace
    place.base("base.tar", busybox_layer(), tarball(*BASE))
    script = (
        "for f in $(find /d -type f); do printf X | dd of=$f conv=notrunc; done; chmod -R 777 /d\n"
    )
    place.build(script, *COPY, "--cache-dir", "cache")
    verified = place.run("cache", "verify", "--cache-dir", "cache")
    assert verified.returncode == 0, verified.stderr.decode()
    again = place.build("cat /d/f > /read\n", *COPY, "--cache-dir", "cache", output="again.tar")
    assert nodes_of(layers_of(again)[-1])["read"].content == b"content"


def test_a_run_says_which_backend_it_had(workplace: Workplace) -> None:
    workplace.base()
    workplace.write("setup.sh", "echo > /x\n")
    done = workplace.run(
        *("--from", "base.tar", "--script", "setup.sh", "-o", "out.tar", "--json", *COPY)
    )
    assert b'"rootfs":"copy"' in done.stdout
    assert b"rootfs: copy" in done.stderr
    assert list(top_layer(workplace.path / "out.tar")) == ["x"]


def test_export_of_a_copy_is_that_of_an_overlay(workplace: Workplace) -> None:
    workplace.base("base.tar", busybox_layer(), tarball(*BASE), tarball(*OVER))
    for backend in (OVERLAY, COPY):
        done = workplace.run("export", "base.tar", "-o", f"{backend[1]}.tar", *backend)
        assert done.returncode == 0, done.stderr.decode()
    overlay, copy = ((workplace.path / f"{name}.tar").read_bytes() for name in ("overlay", "copy"))
    assert told(copy) == told(overlay)
    assert copy == overlay
