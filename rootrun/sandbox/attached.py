"""``python -m rootrun.sandbox.attached PID ARG ...``: rootrun that stops when PID ends."""

import os
import runpy
import signal
import sys

from rootrun.sandbox.syscalls import die_with_parent


def main() -> None:
    """Run rootrun with the arguments after the first one, which is the pid of our parent."""
    die_with_parent(signal.SIGTERM)  # so that it cleans up
    parent = sys.argv.pop(1)
    if os.getppid() == int(parent):
        runpy.run_module("rootrun", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
