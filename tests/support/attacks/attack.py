"""What an attack is: layers, and what has to come of them."""

from collections.abc import Callable
from typing import NamedTuple

from tests.support.tarball import Member, tarball

EVIL = b"evil"
"""The content of what an attack writes."""

UP = "../" * 30
"""Leads from any directory of a run to the root of the host."""


class Attack(NamedTuple):
    """Layers to lay on a busybox. ``refused`` is in the one line that refuses them.

    Where that is empty they are unpacked, and ``holds``, a command for the shell, is true inside.
    """

    layers: tuple[bytes, ...]
    refused: str = ""
    holds: str = "true"


AttackMaker = Callable[[str], Attack]
"""Makes an attack on a directory outside, whose absolute path it takes."""


def refused(why: str, *layers: tuple[Member | bytes, ...]) -> Attack:
    """Return an attack that is refused."""
    return Attack(tuple(tarball(*layer) for layer in layers), refused=why)


def inside(holds: str, *layers: tuple[Member | bytes, ...]) -> Attack:
    """Return an attack that does in the root what it would have done outside."""
    return Attack(tuple(tarball(*layer) for layer in layers), holds=holds)
