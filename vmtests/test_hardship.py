"""Little memory, and a power cut while the cache is written."""

import json
import time
from pathlib import Path

import pytest

from tests.support.images import docker_archive
from tests.support.tarball import file, tarball
from tests.support.workplace import busybox_layer
from vmtests.guest_runs import guest, layer_digest, run
from vmtests.images import Kernel
from vmtests.luggage import PLACE

pytestmark = pytest.mark.vm

_BIG_BYTES = 500 << 20
_MANY = 400
_CUTS_S = (2.0, 4.0, 7.0)


def test_a_layer_much_bigger_than_the_memory(
    usual_kernel: Kernel, basic_rootfs: Path, tmp_path: Path
) -> None:
    big = bytes(range(256)) * (_BIG_BYTES >> 8)
    base = docker_archive(tmp_path / "big.tar", [busybox_layer(file("big", big))])
    script = "dd if=/dev/zero of=/big bs=1M count=300 conv=notrunc 2> /dev/null\n"
    files: dict[str, Path | str] = {"big.tar": base, "scripts/big.sh": script}
    with guest(usual_kernel, basic_rootfs, tmp_path, files=files, memory_mib=128) as machine:
        answer = run(machine, "tester", name="big", base=f"{PLACE}/big.tar")
        assert answer.status == 0, answer.stderr
        size = int(json.loads(answer.stdout)["layers"][-1]["sizeBytes"])
        assert size > _BIG_BYTES
        assert "Out of memory" not in machine.console()


def test_after_a_power_cut_the_next_run_is_right(
    usual_kernel: Kernel, basic_rootfs: Path, tmp_path: Path
) -> None:
    members = [file(f"f{number}", b"%d" % number * 5000) for number in range(_MANY)]
    base = docker_archive(tmp_path / "many.tar", [busybox_layer(), tarball(*members)])
    # What the base's files hold shows in the layer.
    script = "cat /f* | busybox sha256sum > /sum\n"
    files: dict[str, Path | str] = {"many.tar": base, "scripts/sum.sh": script}
    many = f"{PLACE}/many.tar"
    with guest(usual_kernel, basic_rootfs, tmp_path, files=files, cache="writeback") as machine:
        machine.succeed("sync")
        expected = layer_digest(run(machine, "lone", "--no-cache", name="sum", base=many))
        for number, delay_s in enumerate(_CUTS_S):
            place = "cd /scratch/tester && export XDG_CACHE_HOME=/scratch/tester/cache"
            one = f"rootrun --from {many} --script {PLACE}/scripts/sum.sh -o out.tar"
            repeated = f"while {one}; do rm -rf cache/rootrun/layers-*; done"
            machine.succeed(f"({place}; {repeated}) > /dev/null 2>&1 &", user="tester")
            time.sleep(delay_s)
            machine.reboot_after_crash()
            machine.mount("scratch", "/scratch", owner="root")
            machine.succeed(
                f"ln -s /scratch/luggage {PLACE}; ln -s {PLACE}/bin/rootrun /usr/local/bin/rootrun"
            )
            # What dead runs left is swept when a minute old; the clock is anew at each boot.
            machine.succeed(f"date -s @$(($(date +%s) + {3600 * (number + 1)}))")
            found = run(machine, "tester", name="sum", base=many)
            assert layer_digest(found) == expected, f"cut after {delay_s} s"
            left = machine.succeed("find /scratch/tester/cache/rootrun/scratch -mindepth 1 -ls")
            assert left == "", f"{found.stderr}{left}"
