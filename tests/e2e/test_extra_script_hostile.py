"""``--extra-script`` is out to change the machine that it sees: nothing but the image changes."""

import os
import socket
from pathlib import Path

import pytest

from tests.e2e.test_extra_script import extra, failed
from tests.support.compiled import compiled_program
from tests.support.tarball import symlink, tarball
from tests.support.workplace import Workplace, content_of, top_layer

pytestmark = pytest.mark.userns

# What a socket or a pipe of the host says to one who knows its path.
_KNOCK = r"""
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int count, char **args) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, args[count - 1]);
    int pair[2], stream = socket(AF_UNIX, SOCK_STREAM, 0), first = errno;
    int datagram = socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), second = errno;
    if (stream >= 0 && !connect(stream, (struct sockaddr *)&at, sizeof at)) puts("connected");
    if (!datagram && !sendto(pair[0], "x", 1, 0, (struct sockaddr *)&at, sizeof at)) puts("sent");
    printf("%s, %s, %d\n", strerror(first), strerror(second),
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    return 0;
}
"""
_WRITES = """\
try() { if "$@" 2> err; then echo "did: $*"; else tail -n 1 err; fi >> said; }
try touch ../outside
try touch /outside
try touch $canary
try sh -c 'echo spoilt > $1' sh $canary
try chmod 777 $canary
try rm $canary
try touch /dev/.rootrun/script-1
try mount -o remount,bind,rw /
try umount /proc
try unshare --user --map-root-user --mount mount -o remount,bind,rw $mount
rm err
echo scratch > $TMPDIR/mine; rm -r tmp; ln -s $parent tmp
"""


def test_nothing_of_the_host_can_be_written(any_workplace: Workplace) -> None:
    canary = any_workplace.write("canary", "whole")
    mount = next(path for path in canary.parents if path.is_mount())
    script = f"canary={canary} parent={canary.parent} mount={mount}\n{_WRITES}"
    image = extra(any_workplace, script, "--from", any_workplace.base())
    said = content_of(image, "said").decode().splitlines()
    assert len(said) == 10
    for line in said[:7]:
        assert line.endswith(": Read-only file system"), line
    for line in said[7:]:
        assert not line.startswith("did: "), line
    assert canary.read_bytes() == b"whole"
    assert canary.stat().st_mode & 0o777 == 0o644
    assert not Path("/outside").exists()
    assert not Path("/dev/shm/mine").exists()
    assert top_layer(image)["tmp"].linkname == os.fspath(canary.parent)


def test_links_of_the_image_lead_to_no_file_that_could_be_written(
    any_workplace: Workplace,
) -> None:
    canary = any_workplace.write("canary", "whole")
    links = tarball(symlink("file", os.fspath(canary)), symlink("dir", os.fspath(canary.parent)))
    base = any_workplace.base("base.tar", links)
    status, line = failed(any_workplace, "echo spoilt > file || touch dir/x", "--from", base)
    assert (status, canary.read_bytes()) == (1, b"whole")
    assert line == "rootrun: error: run script: extra.sh: ended with status 1"
    assert not (any_workplace.path / "x").exists()


def test_it_reaches_no_process_of_the_host(any_workplace: Workplace) -> None:
    knock = compiled_program(_KNOCK, any_workplace.path / "knock")
    with socket.socket(socket.AF_UNIX) as server:
        at = any_workplace.path / "socket"
        server.bind(os.fspath(at))
        at.chmod(0o777)
        server.listen()
        script = f"{knock} {at} > said; ls -A /run > run\n"
        image = extra(any_workplace, script, "--seccomp", "off")
        refused = os.strerror(97)  # EAFNOSUPPORT
        assert content_of(image, "said").decode() == f"{refused}, {refused}, 0\n"
    listed = content_of(image, "run").decode().split()
    assert {*listed} == {entry.name for entry in os.scandir("/run") if entry.is_symlink()}


def test_it_has_no_rights_but_those_over_files(any_workplace: Workplace) -> None:
    script = "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status > status\n"
    status = content_of(extra(any_workplace, script), "status").decode()
    told = dict(line.split(":\t") for line in status.splitlines())
    over_files = f"{1 << 1 | 1 << 3 | 1 << 4:016x}"  # CAP_DAC_OVERRIDE, _FOWNER, _FSETID
    assert {told[f"Cap{name}"] for name in ("Prm", "Eff", "Bnd")} == {over_files}
    assert {told[f"Cap{name}"] for name in ("Inh", "Amb")} == {f"{0:016x}"}
    assert told["NoNewPrivs"] == "1"
