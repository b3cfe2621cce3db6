"""``python -m vmtests.prepare [--short]``: download and make what the tests boot (network)."""

import sys
import time
from collections.abc import Callable
from functools import partial

from vmtests.images import BASIC, KERNELS, ROOT_FILE_SYSTEMS, kernel, rootfs
from vmtests.place import MissingPieceError

_SHORT_KERNELS = ("5.10", "6.1")


def main() -> None:
    """Make everything that can be had, and say what cannot."""
    is_short = "--short" in sys.argv[1:]
    for name in _SHORT_KERNELS if is_short else KERNELS:
        _tell(f"kernel {name}", partial(kernel, name))
    for recipe in (BASIC,) if is_short else ROOT_FILE_SYSTEMS:
        _tell(f"rootfs {recipe.name}", partial(rootfs, recipe))


def _tell(name: str, job: Callable[[], object]) -> None:
    began = time.monotonic()
    try:
        job()
    except MissingPieceError as error:
        print(f"vm-images: {name}: {error}", file=sys.stderr)
    else:
        print(f"vm-images: {name}: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
