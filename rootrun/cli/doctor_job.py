"""The options of ``rootrun doctor``; the report itself is in cli/doctor.py."""

from pathlib import Path

from rootrun.cli.doctor import report
from rootrun.cli.parser import Options
from rootrun.places import cache_directory, scratch_parent

_LAST_RESORT = Path("/tmp")


def run_doctor(options: Options) -> int:
    """Report what this machine allows, and return 125 if no run can work here."""
    cache = cache_directory(options.cache_dir)
    scratch = scratch_parent(options.tmpdir) or (cache / "scratch" if cache else _LAST_RESORT)
    return report(cache or scratch, scratch, options.json)
