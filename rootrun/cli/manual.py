"""``rootrun help``: the manual page, by man(1) on a terminal and as plain text elsewhere."""

import os
import sys
from pathlib import Path

from rootrun.cli.parser import Options
from rootrun.cli.roff import plain_text
from rootrun.cli.stdout import has_stdout, write_out

MANUAL = Path(__file__).parent.parent / "man" / "rootrun.1"


def show_manual(_: Options) -> int:
    """Show rootrun(1), and return the exit status."""
    if has_stdout() and sys.stdout.isatty():
        import shutil

        if man := shutil.which("man"):
            from rootrun.sandbox.handover import hand_over

            hand_over([man, "-l", os.fspath(MANUAL)])
    write_out(plain_text(MANUAL.read_text(encoding="utf-8")))
    return 0
