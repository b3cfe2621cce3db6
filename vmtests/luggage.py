"""What guests get from this host: rootrun as it is in the checkout, the oracle, bases, scripts."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.program import installation
from vmtests.machine import Machine
from vmtests.place import GUEST

PLACE = "/luggage"
_LAUNCHER = """\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/luggage/lib")
from rootrun.__main__ import run

run()
"""


def pack(target: Path, files: Mapping[str, Path | str]) -> Path:
    """Write a tar of rootrun, the oracle and ``files`` by name, paths or texts, for a disk."""
    tree = target.with_suffix(".d")
    (tree / "bin").mkdir(parents=True)
    shutil.copytree(installation() / "lib" / "rootrun", tree / "lib" / "rootrun")
    (tree / "bin" / "rootrun").write_text(_LAUNCHER)
    (tree / "bin" / "rootrun").chmod(0o755)
    for name in ("packer.py", "real_root.py"):
        shutil.copy(GUEST / name, tree)
    for name, content in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        else:
            os.link(content, path) if _is_near(content, tree) else shutil.copyfile(content, path)
    owners = ("--owner=0", "--group=0", "--mode=go=rX")
    subprocess.run(["tar", *owners, "-C", tree, "-cf", target, "."], check=True)
    shutil.rmtree(tree)
    return target


def _is_near(path: Path, other: Path) -> bool:
    return path.stat().st_dev == other.stat().st_dev


def unpack(machine: Machine, disk: str = "luggage") -> None:
    """Unpack the tar that is ``disk`` on the scratch disk, and put rootrun on the PATH."""
    machine.mount("scratch", "/scratch")
    machine.succeed(
        f"mkdir /scratch/luggage && ln -s /scratch/luggage {PLACE}"
        f" && tar -C {PLACE} -xf {machine.device(disk)}"
        f" && ln -s {PLACE}/bin/rootrun /usr/local/bin/rootrun",
        "for user in tester lone; do mkdir /scratch/$user; chown $user: /scratch/$user; done",
        timeout_s=600,
    )
