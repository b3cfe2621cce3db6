"""Whether an input is a finding."""

import os
import time
from contextlib import suppress

from tests.fuzz.planted import PLANTED
from tests.fuzz.targets import TARGETS, Target


class Judge:
    """Tries inputs of one target, and counts them."""

    def __init__(self, name: str) -> None:
        self.target: Target = {**TARGETS, **PLANTED}[name]
        self.inputs = 0

    def try_input(self, content: bytes) -> None:
        """Give ``content`` to the target, as it is and repaired; what is wrong is raised."""
        self.inputs += 1
        self._try(content)
        repaired = self.target.repair(content)
        if repaired != content:
            self._try(repaired)

    def _try(self, content: bytes) -> None:
        descriptors = _descriptor_count()
        started_s = time.process_time()
        with suppress(*self.target.refusals):
            self.target.take(content)
        took_s = time.process_time() - started_s
        assert took_s < self.target.most_processor_s, f"it takes {took_s:.1f} s"
        assert _descriptor_count() == descriptors, "descriptors are left open"


def _descriptor_count() -> int:
    return len(os.listdir("/proc/self/fd"))
