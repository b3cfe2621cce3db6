"""rootrun as the builder in a sandboxed nix-build, which has one uid and refuses setxattr(2).

What it writes there is what it writes anywhere else, byte by byte.
"""

import pytest

from tests.support.nix import nix_rootrun
from tests.support.tarball import device, directory, file, hardlink, opaque, tarball, whiteout
from tests.support.workplace import Workplace, busybox_layer, content_of, layers_of

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


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_the_layer_is_that_of_a_run_outside(
    script: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    layers = (busybox_layer(), LOWER, UPPER)
    inside = nix_rootrun(lone_workplace, script, base=lone_workplace.base("base.tar", *layers))
    outside = workplace.build(script, base=workplace.base("base.tar", *layers))
    assert layers_of(inside.output) == layers_of(outside)


def test_the_script_sees_what_it_sees_outside(
    lone_workplace: Workplace, workplace: Workplace
) -> None:
    script = (
        "find /d /r /fresh /alone /merged > /found; ls -ln /d /r /fresh /alone /merged >> /found"
    )
    layers = (busybox_layer(), LOWER, UPPER)
    inside = nix_rootrun(lone_workplace, script, base=lone_workplace.base("base.tar", *layers))
    outside = workplace.build(script, base=workplace.base("base.tar", *layers))
    assert b"/d/e/new\n" in content_of(outside, "found")
    assert content_of(inside.output, "found") == content_of(outside, "found")
