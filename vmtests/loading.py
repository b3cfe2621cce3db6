"""An image that rootrun made, for other programs to load and to run: what has to be in it."""

import json
import shlex
from pathlib import Path
from typing import NamedTuple

from tests.support.images import docker_archive
from tests.support.tarball import file, tarball
from vmtests.guest_runs import layer_digest, run
from vmtests.luggage import PLACE
from vmtests.machine import Machine
from vmtests.oracle import busybox_layers
from vmtests.place import needed_program

IMAGE = "/scratch/tester/out.tar"
"""Where ``make_image`` leaves it in the guest."""

NAME = "localhost/loaded:1"

_NET_BIND_SERVICE = bytes.fromhex("0100000200040000000000000000000000000000")  # =ep
_CHANGES = """\
cd /
echo owned > owned; chmod 640 owned; chown 1000:2000 owned
echo set > set-id; chown 33:34 set-id; chmod 6755 set-id
mkdir -m 1777 sticky; chown 5:6 sticky
chown 42 old/other
ln -s ../owned link; chown -h 7:8 link
mkfifo -m 620 fifo
mknod -m 640 device c 1 5
mv old/capable busybox-capable
rm old/file
rm odd/quote* odd/latin*
rm -rf old/dir; mkdir old/dir; echo new > old/dir/new
rm -rf deep
rm old/secret; mkdir old/secret; echo i > old/secret/inside
rm -rf tree/two; echo file > tree/two
"""


class Fact(NamedTuple):
    """What a command in the container says."""

    command: str
    said: str


FACTS = {
    "owner": Fact("stat -c '%a %u:%g' /owned", "640 1000:2000"),
    "set-id": Fact("stat -c '%a %u:%g' /set-id", "6755 33:34"),
    "sticky directory": Fact("stat -c '%a %u:%g' /sticky", "1777 5:6"),
    "new owner": Fact("stat -c '%a %u:%g' /old/other", "600 42:6"),
    "link": Fact("stat -c '%u:%g' /link; readlink /link", "7:8\n../owned"),
    "fifo": Fact("stat -c '%F %a' /fifo", "fifo 620"),
    "device": Fact("stat -c '%F %a %t:%T' /device", "character special file 640 1:5"),
    "capability": Fact(
        "su -s /bin/sh app -c '/busybox-capable grep CapEff /proc/self/status'",
        "CapEff:\t0000000000000400",
    ),
    "deleted file": Fact("[ -e /old/file ] || echo gone", "gone"),
    "deleted odd names": Fact("set -- /odd/*; echo $#", "8"),
    "emptied directory": Fact("ls -A /old/dir", "new"),
    "deleted directory": Fact("[ -e /deep ] || echo gone", "gone"),
    "directory for a file": Fact("ls -A /old/secret", "inside"),
    "file for a directory": Fact("cat /tree/two", "file"),
    "markers": Fact("find / -xdev -name '.wh.*' | wc -l", "0"),
    "configuration": Fact("pwd; echo $GREETING", "/old\nhello"),
}
"""What holds in a container of the image, by name."""

_TITLE = "fact: "


def files(tmp: Path) -> dict[str, Path | str]:
    """Return the luggage of ``make_image``: a base and the script."""
    busybox = Path(needed_program("busybox", "busybox-static")).read_bytes()
    xattrs = {"security.capability": _NET_BIND_SERVICE}
    capable = file("old/capable", busybox, 0o755, xattrs=xattrs)
    base = docker_archive(tmp / "loaded.tar", [*busybox_layers(), tarball(capable)])
    lines = [f"echo {shlex.quote(_TITLE + name)}\n{fact.command}" for name, fact in FACTS.items()]
    script = "\n".join([_CHANGES, "cat > facts << 'END'", *lines, "END", ""])
    return {"loaded.tar": base, "scripts/loaded.sh": script}


def make_image(machine: Machine) -> str:
    """Make the image in the guest as an unprivileged user; return the digest of its layer."""
    config = ("--env", "GREETING=hello", "--workdir", "/old", "--cmd", '["/bin/sh","/facts"]')
    name, tag = NAME.split(":")
    options = ("--owner", "keep", "--name", name, "--tag", tag, *config)
    base = f"{PLACE}/loaded.tar"
    return layer_digest(run(machine, "tester", *options, name="loaded", base=base))


def facts(said: str) -> dict[str, str]:
    """Return what each fact's command said, of what the container wrote."""
    parts = [part.partition("\n") for part in ("\n" + said).split("\n" + _TITLE)[1:]]
    return {name: text.rstrip("\n") for name, _, text in parts}


def diff_ids(machine: Machine, archive: str) -> list[str]:
    """Return what a docker-archive in the guest says of its layers, which must be true."""
    said, found = json.loads(machine.succeed(f"python3 -c {shlex.quote(_DIFF_IDS)} {archive}"))
    assert said == found, archive
    return list(said)


_DIFF_IDS = """
import hashlib, json, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    (image,) = json.load(archive.extractfile("manifest.json"))
    config = json.load(archive.extractfile(image["Config"]))
    layers = [archive.extractfile(name).read() for name in image["Layers"]]
digests = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
print(json.dumps([config["rootfs"]["diff_ids"], digests]))
"""
