"""rootrun inside a guest, by its users, with the luggage's base and scripts."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.images import docker_archive
from vmtests.control import Answer
from vmtests.images import Kernel
from vmtests.luggage import PLACE, pack, unpack
from vmtests.machine import Machine
from vmtests.oracle import Case, busybox_layers

BASE = f"{PLACE}/base.tar"
_TIMEOUT_S = 600


@contextmanager
def guest(
    kernel: Kernel,
    rootfs: Path,
    tmp: Path,
    *,
    cases: Sequence[Case] = (),
    files: Mapping[str, Path | str] | None = None,
    memory_mib: int = 1024,
    cache: str = "unsafe",
) -> Iterator[Machine]:
    """Boot a machine with the luggage on a scratch disk, where each user has a directory."""
    base = docker_archive(tmp / "base.tar", busybox_layers())
    scripts: dict[str, Path | str] = {f"scripts/{case.name}.sh": case.script for case in cases}
    scripts["scripts/made.sh"] = "echo made > /made\nrm /old/file\n"
    luggage = pack(tmp / "luggage.tar", {"base.tar": base, **scripts, **(files or {})})
    with Machine(kernel, rootfs, memory_mib=memory_mib) as machine:
        machine.disk("luggage", file=luggage)
        machine.disk("scratch", size="8G", cache=cache)
        machine.start()
        unpack(machine)
        machine.succeed("mkdir /scratch/root")
        yield machine


def run(
    machine: Machine,
    user: str,
    *args: str,
    name: str = "made",
    base: str = BASE,
    prefix: str = "",
) -> Answer:
    """Run the script ``name`` on ``base`` as ``user``, whatever comes of it.

    ``prefix`` goes before the program: what restricts it, or its environment.
    """
    command = shell_command(f"/scratch/{user}", *args, name=name, base=base, prefix=prefix)
    return machine.execute(command, user=user, timeout_s=_TIMEOUT_S)


def shell_command(
    place: str, *args: str, name: str = "made", base: str = BASE, prefix: str = ""
) -> str:
    """Return the line that runs the script ``name`` in the directory ``place``, the cache too."""
    words = ["rootrun", "--from", base, "--script", f"{PLACE}/scripts/{name}.sh"]
    words += ["-o", "out.tar", "--json", *args]
    before = f"cd {place} && rm -f out.tar && export XDG_CACHE_HOME={place}/cache"
    return f"{before} && {prefix} {shlex.join(words)}"


def layer_digest(answer: Answer) -> str:
    """Return the digest of the new layer of a run, which must have worked."""
    assert answer.status == 0, answer.stderr
    return str(json.loads(answer.stdout)["layers"][-1]["digest"])
