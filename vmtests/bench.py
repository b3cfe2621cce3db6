"""``make bench-vm``: the virtual machine that rootrun replaces, beside rootrun, in one run.

Both take the same docker-archive and script, and both end with the new layer. The machine is a
tuned one: a small guest, disks without flushes, a ready root file system. It is emulated (TCG)
unless /dev/kvm is usable, and the numbers say which. What it does is a little more: it packs the
layer for both kinds of owners, and also when warm it unpacks the base, as it has no cache.
"""

import hashlib
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.debian import debian_rootfs
from tests.support.images import docker_archive
from tests.support.program import run_rootrun
from tests.support.users import Account, temporary_account
from vmtests.images import BASIC, kernel, rootfs
from vmtests.luggage import PLACE, pack, unpack
from vmtests.machine import Machine
from vmtests.oracle import busybox_layers, run_as_real_root
from vmtests.qemu import acceleration

_WARM_RUNS = 5
_SCRIPT = """\
mkdir -p /srv/app/d
n=0
while [ $n -lt 200 ]; do
    echo $n > /srv/app/d/f$n
    n=$((n + 1))
done
chown -R 33:33 /srv/app
chmod 4755 /srv/app/d/f1
ln /srv/app/d/f2 /srv/app/linked
rm -r /etc/passwd
"""


class Times(NamedTuple):
    """Seconds of one way to do a job, first and when all is ready for it; its layer's digest."""

    cold_s: float
    warm_s: float
    digest: str


def main() -> None:
    """Measure both ways on both bases, and print the ratios."""
    print(f"the virtual machine: Linux 6.1, {acceleration()}")
    print(f"seconds of one run each; rootrun warm is the median of {_WARM_RUNS}")
    print(f"{'base':8} {'VM cold':>8} {'VM warm':>8} {'cold':>7} {'warm':>7} {'ratios':>14}")
    bases = {"busybox": busybox_layers(), "debian": [debian_rootfs().read_bytes()]}
    with tempfile.TemporaryDirectory() as temporary, temporary_account("bench", subids=True) as who:
        for name, layers in bases.items():
            place = Path(temporary, name)
            place.mkdir()
            base = docker_archive(place / "base.tar", layers)
            machine = _machine(base, place)
            ours = _rootrun(base, who)
            assert machine.digest == ours.digest, f"{name}: the layers differ"
            cold, warm = machine.cold_s / ours.cold_s, machine.warm_s / ours.warm_s
            print(
                f"{name:8} {machine.cold_s:8.2f} {machine.warm_s:8.2f} {ours.cold_s:7.2f}"
                f" {ours.warm_s:7.2f} {cold:6.0f}x {warm:6.0f}x",
                flush=True,
            )


def _machine(base: Path, place: Path) -> Times:
    """Cold boots for the job, as a build does; warm has a machine that waits, with the luggage."""
    files: dict[str, Path | str] = {"base.tar": base, "scripts/job.sh": _SCRIPT}
    luggage = pack(place / "luggage.tar", files)
    machine_kernel, tree = kernel("6.1"), rootfs(BASIC)
    began = time.monotonic()
    with Machine(machine_kernel, tree, memory_mib=1024) as machine:
        machine.disk("luggage", file=luggage)
        machine.disk("scratch", size="4G")
        machine.start()
        unpack(machine)
        truth = run_as_real_root(machine, f"{PLACE}/base.tar", ["job"])["job"]
        cold_s = time.monotonic() - began
        assert truth.status == 0, truth.said
        began = time.monotonic()
        run_as_real_root(machine, f"{PLACE}/base.tar", ["job"])
        warm_s = time.monotonic() - began
    return Times(cold_s, warm_s, hashlib.sha256(truth.layers["keep"]).hexdigest())


def _rootrun(base: Path, who: Account) -> Times:
    """Cold has no cache; warm has the base unpacked from the run before."""
    directory = who.new_directory()
    script = directory / "job.sh"
    script.write_text(_SCRIPT)
    near = directory / "base.tar"
    shutil.copyfile(base, near)
    times = []
    digest = ""
    for _ in range(1 + _WARM_RUNS):
        began = time.monotonic()
        arguments = ("--from", near, "--script", script, "-o", "out.tar", "--owner", "keep")
        done = run_rootrun([*arguments, "--json"], account=who, cwd=directory)
        times.append(time.monotonic() - began)
        assert done.returncode == 0, done.stderr.decode()
        digest = json.loads(done.stdout)["layers"][-1]["digest"].removeprefix("sha256:")
    return Times(times[0], statistics.median(times[1:]), digest)


if __name__ == "__main__":
    main()
