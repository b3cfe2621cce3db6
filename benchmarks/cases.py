"""What the contenders are measured at: bases, scripts, and how much of a run was done before."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import product
from typing import NamedTuple

from benchmarks.bases import PACKINGS, Base, Packing, debian_base, large_base, small_base


class Workload(NamedTuple):
    """A script of scripts/, and a path that is in the layer once it has run."""

    script: str
    makes: str = ""
    needs_apt: bool = False


WORKLOADS: Mapping[str, Workload] = {
    "true": Workload("true.sh"),
    "setup": Workload("setup.sh", "etc/service/main.conf"),
    "files": Workload("files.sh", "srv-new/1999"),
    "install": Workload("install.sh", "usr/bin/git", needs_apt=True),
    "big": Workload("big.sh", "srv/big"),
    "edits": Workload("edits.sh", "etc/motd"),
}
BASES = {"small": small_base, "debian": debian_base, "large": large_base}
COLD, WARM = "cold", "warm"


class Case(NamedTuple):
    """One row of the table. When warm, what a contender keeps of an earlier run is there."""

    base: str
    packing: Packing
    workload: str
    is_warm: bool

    @property
    def name(self) -> str:
        """The name by which rows are chosen, as ``debian-gzip-true-cold``."""
        return f"{self.base}-{self.packing}-{self.workload}-{WARM if self.is_warm else COLD}"


ALL_CASES = [
    Case(base, packing, workload, is_warm)
    for base, packing, workload, is_warm in product(BASES, PACKINGS, WORKLOADS, (False, True))
    if base != "small" or not WORKLOADS[workload].needs_apt
]
# Packing matters when cold, the script when warm.
_USUAL = (
    *("small-plain-true-*", "debian-*-true-cold", "large-*-true-cold"),
    *("small-plain-setup-warm", "debian-plain-*-warm", "large-plain-true-warm"),
    *("large-plain-edits-warm", "debian-plain-setup-cold"),
)


def chosen_cases(patterns: Sequence[str]) -> list[Case]:
    """Return the cases whose names match one of ``patterns``, by default those of the README."""
    wanted = patterns or _USUAL
    cases = [case for case in ALL_CASES if any(fnmatchcase(case.name, one) for one in wanted)]
    if not cases:
        raise SystemExit(f"bench: no row matches {' '.join(wanted)}; --list shows all")
    return cases


def base_of(case: Case) -> Base:
    """Return the base of ``case``."""
    return BASES[case.base]()
