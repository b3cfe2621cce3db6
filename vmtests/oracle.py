"""The oracle: scripts run by a real root in a real virtual machine, and the layers they make."""

import io
import json
import shlex
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.tarball import (
    device,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    tarball,
    whiteout,
)
from tests.support.workplace import busybox_layer
from vmtests.images import Kernel
from vmtests.luggage import PLACE, pack, unpack
from vmtests.machine import Machine

OWNERS = ("root", "keep")
_WORK = "/scratch/work"
_TIMEOUT_S = 3600
_MEMORY_MIB = 1024


class Case(NamedTuple):
    """A script on one of the bases."""

    name: str
    base: str
    script: str


class Truth(NamedTuple):
    """What a script came to as a real root: its layers by the option --owner."""

    status: int
    said: str
    layers: Mapping[str, bytes]


def busybox_layers() -> list[bytes]:
    """Return a base with everything that scripts change, in layers with markers."""
    odd = [b"quote'and\"quote", b"`x`", b"x\ny", b"-n", b"back\\slash", b"latin-\xe9"]
    odd += [b"caf\xc3\xa9", b"#", b"~", b"...", b" "]
    names = [name.decode("utf-8", "surrogateescape") for name in odd]
    hidden = tarball(
        *(directory("tree"), directory("tree/one"), file("tree/one/hidden", b"h")),
        *(directory("tree/two"), file("tree/gone", b"g"), directory("deep"), file("deep/h", b"h")),
    )
    changed = tarball(
        *(whiteout("tree/gone"), opaque("tree/one"), directory("deep"), opaque("deep")),
        *(directory("deep/a"), directory("deep/a/b"), file("deep/a/b/c", b"c")),
        *(file("tree/one/seen", b"s"), file("tree/two/f", b"f"), directory("empty")),
        *(directory("old", mode=0o775, gid=6), file("old/file", b"old", uid=0, gid=0)),
        *(file("old/other", b"o", mode=0o600, uid=5, gid=6), directory("old/dir", uid=1000)),
        *(file("old/dir/f", b"f", uid=1000, gid=1000), file("old/secret", b"s", mode=0o640)),
        file("old/suid", b"suid", mode=0o755),
        file("old/setuid-data", b"data", mode=0o6755, uid=70, gid=80),
        *(file("old/big", bytes(range(256)) * 400), symlink("old/link", "../tree")),
        *(file("old/hard1", b"pair"), hardlink("old/hard2", "old/hard1")),
        *(symlink("link-to-dir", "old/dir"), fifo("pipe", mode=0o622)),
        *(directory("base-dev"), device("base-dev/null", 1, 3, mode=0o666)),
        device("base-dev/tty", 5, 0, mode=0o620, gid=5),
        *(directory("odd"), *(file(f"odd/{name}", b"x") for name in names)),
    )
    return [busybox_layer(), hidden, changed]


def real_root(
    kernel: Kernel,
    rootfs: Path,
    base: Path,
    cases: Sequence[Case],
    *,
    tmp: Path,
    repository: Path | None = None,
) -> dict[str, Truth]:
    """Boot once, run ``cases`` on ``base``, a docker-archive, and return what came of them.

    Scripts find ``repository``, a flat directory of packages, at ``/repo``.
    """
    files: dict[str, Path | str] = {f"scripts/{case.name}.sh": case.script for case in cases}
    if repository is not None:
        files |= {f"repository/{path.name}": path for path in repository.iterdir()}
    luggage = pack(tmp / "luggage.tar", {**files, "base.tar": base})
    with Machine(kernel, rootfs, memory_mib=_MEMORY_MIB) as machine:
        machine.disk("luggage", file=luggage)
        machine.disk("scratch", size="12G")
        machine.start()
        unpack(machine)
        return run_as_real_root(machine, f"{PLACE}/base.tar", [case.name for case in cases])


def run_as_real_root(machine: Machine, base: str, names: Sequence[str]) -> dict[str, Truth]:
    """Run scripts of the luggage on ``base``, a path in the guest, as its root."""
    paths = [shlex.quote(f"{PLACE}/scripts/{name}.sh") for name in names]
    machine.succeed(f"rm -rf {_WORK} && mkdir {_WORK}")
    command = f"python3 {PLACE}/real_root.py {_WORK} {base} {' '.join(paths)}"
    lines = machine.succeed(command, timeout_s=_TIMEOUT_S).splitlines()
    machine.succeed(f"cd {_WORK} && tar -cf /scratch/layers.tar *.tar", timeout_s=300)
    layers = _members(machine.get("/scratch/layers.tar"))
    return {
        str(result["script"]): Truth(
            int(result["status"]),
            str(result["said"]),
            {owner: layers[f"{result['script']}.{owner}.tar"] for owner in OWNERS},
        )
        for result in map(json.loads, lines)
    }


def _members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        contents = {member.name: tar.extractfile(member) for member in tar}
        return {name: content.read() for name, content in contents.items() if content}
