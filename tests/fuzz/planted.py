"""Targets with something to find, by which fuzzing itself is tested."""

import os
import time
from collections.abc import Iterator

from rootrun.errors import ImageError
from tests.fuzz.targets import Target

_TRIGGER = b"x"


def _seeds() -> Iterator[bytes]:
    yield b"a seed"
    yield b"another one, which has an x"


def _raise_another_error(content: bytes) -> None:
    if _TRIGGER in content:
        raise KeyError("an error that is none of ours")
    raise ImageError("refused, and right so")


def _take_long(content: bytes) -> None:
    until_s = time.process_time() + (0.4 if _TRIGGER in content else 0)
    while time.process_time() < until_s:
        pass


def _take_memory(content: bytes) -> None:
    if _TRIGGER in content:
        bytearray(2 << 30)


def _keep_descriptor(content: bytes) -> None:
    if _TRIGGER in content:
        os.open(os.devnull, os.O_RDONLY)


PLANTED = {
    "another error": Target(_raise_another_error, _seeds),
    "time": Target(_take_long, _seeds, most_processor_s=0.2),
    "memory": Target(_take_memory, _seeds),
    "descriptor": Target(_keep_descriptor, _seeds),
}
