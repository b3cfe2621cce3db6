"""The entry of the program: ``rootrun`` and ``python -m rootrun``."""

import sys

from rootrun import __version__


def run() -> None:
    """Run the command line of this process and exit with its status."""
    # Scripts ask for the version in loops: answer before anything is imported.
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"rootrun {__version__}")
        return
    import gc

    # A run is short and its garbage has few cycles: looking for them costs 5 ms of a start.
    gc.set_threshold(100_000)
    from rootrun.cli.main import main

    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
