"""Torture rootrun and print what came of it: ``python -m tests.torture`` (as root).

The status is 1 if anything was wrong; each wrong is told on standard error.
"""

import argparse
import os
import sys

from tests.support.program import remove_installation
from tests.support.users import sweep_dead_sessions
from tests.torture.parts import PARTS, Figures, run_part


def main() -> int:
    """Run the parts that the command line asks for, and return the exit status."""
    options = _options()
    if os.geteuid() != 0:
        print("torture: it makes accounts, which needs root", file=sys.stderr)
        return 2
    sweep_dead_sessions()
    os.umask(0o022)
    table = []
    try:
        for part in PARTS:
            count = getattr(options, part.name)
            if count != 0:
                table.append(run_part(part, seed=options.seed, count=count, tell=_tell))
    finally:
        remove_installation()
        _print(table)
    return 1 if any(figures.wrong for figures in table) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of all that is chosen at random")
    for part in PARTS:
        parser.add_argument(
            f"--{part.name}",
            type=lambda text: None if text == "all" else int(text),
            default=part.usual_count,
            metavar="N",
            help=f"{part.told} (usually: {part.usual_count or 'all'}; 0 for none)",
        )
    return parser.parse_args()


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(table: list[Figures]) -> None:
    print(f"{'':<40} {'runs':>7} {'wrong':>7} {'seconds':>9}")
    for figures in table:
        print(f"{figures.told:<40} {figures.runs:>7} {figures.wrong:>7} {figures.took_s:>9.0f}")


if __name__ == "__main__":
    sys.exit(main())
