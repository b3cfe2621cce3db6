"""``python -m benchmarks fakeroot``: the root emulation beside real ids, and beside its peers.

All runs are those of one account that has subordinate ids, of programs that are installed as for
any user, on a Debian whose layers are in the cache; the order is mixed, and medians are shown.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from benchmarks.comparison import Job, report_peers
from benchmarks.emulation import MEASURES, Size
from benchmarks.place import MODES, Place, temporary_place
from benchmarks.timing import unwind_at_signals
from benchmarks.verdict import HEADER

_PACKAGES = (
    *("openssh-server", "cron", "dbus", "man-db", "nginx-light", "postgresql", "sudo"),
    *("rsync", "git"),
)
"""With what they need beside a minimal Debian they are about 80."""

_WHOLE = Size(repeat=5, packages=_PACKAGES, files=50_000, rounds=1_000_000)
_QUICK = Size(repeat=3, packages=("cron", "dbus"), files=5_000, rounds=200_000)
_PARTS = (*MEASURES, "peers")


def main(argv: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fakeroot", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller, in less than two minutes")
    parser.add_argument("--repeat", type=int, help="runs of each kind (default 5, quick 3)")
    parser.add_argument(
        "--only", choices=_PARTS, action="append", help="this part; may be repeated"
    )
    parser.add_argument("--ch-run", default="ch-run", help="Charliecloud's program, 0.32 or newer")
    options = parser.parse_args(argv)
    if os.geteuid() != 0:
        raise SystemExit("bench: making an account to measure as needs root")
    size = _QUICK if options.quick else _WHOLE
    repeat = options.repeat or size.repeat
    size = Size(repeat=repeat, packages=size.packages, files=size.files, rounds=size.rounds)
    unwind_at_signals()
    os.umask(0o022)
    with temporary_place(files=size.files) as place:
        missed = _report(place, size, parts=options.only or _PARTS)
        if "peers" in (options.only or _PARTS):
            report_peers(place, _jobs(size, quick=options.quick), ch_run=options.ch_run)
        print(f"\nload at the end: {' '.join(f'{load:.1f}' for load in os.getloadavg())}")
    if missed:
        sys.exit("bench: a target was missed")


def _report(place: Place, size: Size, *, parts: Sequence[str]) -> bool:
    """Print the measures of ``parts``; say whether one missed its target."""
    _fill_cache(place)
    missed = False
    print(HEADER, flush=True)
    for name, measure in MEASURES.items():
        if name in parts:
            for row in measure(place, size):
                print(row.shown(), flush=True)
                missed |= not row.is_met
    return missed


def _jobs(size: Size, *, quick: bool) -> list[Job]:
    small = Job(
        title="chown, mknod, install, su, tar",
        script="small.sh",
        makes_devices=True,
        repeat=1 if quick else size.repeat,  # a rootfs is unpacked for each run of a peer
    )
    if quick:
        return [small]
    title = f"apt-get install of {len(size.packages)} and more"
    packages = Job(title=title, script="packages.sh", packages=size.packages, repeat=size.repeat)
    return [small, packages]


def _fill_cache(place: Place) -> None:
    (place.scripts / "true.sh").write_text("true\n")
    time.sleep(1.1)  # a base younger than a second is hashed again
    for mode in MODES:
        for base in ("debian", "files"):
            place.run(mode, "true.sh", base=base)
