"""Fuzz all targets in turn and print what came of it: ``python -m tests.fuzz``.

The status is 1 if anything was found; each finding is told on standard error. A corpus is kept
in build/fuzz from one time to the next.
"""

import argparse
import sys
from pathlib import Path

from tests.fuzz.running import Outcome, fuzz_target
from tests.fuzz.targets import TARGETS

_DIRECTORY = Path(__file__).parent.parent.parent / "build" / "fuzz"
_LAST_LINES = 40


def main() -> int:
    """Fuzz what the command line asks for, and return the exit status."""
    options = _options()
    table = []
    for name in options.targets or TARGETS:
        limits = (f"--seconds={options.seconds}", f"--seed={options.seed}")
        outcome = fuzz_target(name, _DIRECTORY / name, *limits, *_way(options))
        table.append((name, outcome))
        if not outcome.is_clean:
            last = "\n".join(outcome.told.splitlines()[-_LAST_LINES:])
            print(f"{name}: a finding, see {_DIRECTORY / name}:\n{last}", file=sys.stderr)
    _print(table)
    return 0 if all(outcome.is_clean for _, outcome in table) else 1


def _way(options: argparse.Namespace) -> tuple[str, ...]:
    given = ("--input", str(options.input.absolute())) if options.input else ()
    return (*given, *(("--plain",) if options.plain else ()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=Path, help="try this finding again, alone")
    parser.add_argument("--plain", action="store_true", help="by hypothesis, without atheris")
    return parser.parse_args()


def _print(table: list[tuple[str, Outcome]]) -> None:
    print(f"{'':<15} {'inputs':>9} {'found':>6} {'seconds':>8}")
    for name, outcome in table:
        found = "" if outcome.is_clean else "yes"
        print(f"{name:<15} {outcome.inputs:>9} {found or 'no':>6} {outcome.took_s:>8.0f}")


if __name__ == "__main__":
    sys.exit(main())
