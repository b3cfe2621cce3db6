"""``python -m benchmarks [SUBJECT]``: each subject has options and a --help of its own.

Only ratios mean something on another machine, and only those of one run.
"""

import sys


def main() -> None:
    """Leave the measuring to a subject; without one, rootrun and its peers are compared."""
    subject, rest = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    match subject:
        case "fakeroot":
            from benchmarks import fakeroot

            fakeroot.main(rest)
        case "start":
            from benchmarks import start

            start.main(rest)
        case "endurance":
            from benchmarks import endurance

            endurance.main(rest)
        case "layered":
            from benchmarks import layered

            layered.main(rest)
        case "machines":
            from benchmarks import machines

            machines.main(rest)
        case "side-by-side":
            from benchmarks import side_by_side

            side_by_side.main(rest)
        case _:
            from benchmarks import contest

            contest.main(sys.argv[1:])


main()
