"""How much of a real root the container's processes are shown."""

from enum import Enum


class Level(Enum):
    """What happens to a call that a single uid map makes impossible.

    The values are the words of ``--emulate``.
    """

    #: as RECORD, and the stat family answers with what was remembered
    FULL = "full"
    #: chown and mknod of devices are remembered, the id-setting calls answered with success
    RECORD = "record"
    #: every one of them is answered with success, nothing is remembered
    FAST = "fast"
    #: the kernel answers, as it does without emulation
    OFF = "off"

    @property
    def remembers(self) -> bool:
        """Whether a supervisor has to be asked."""
        return self in (Level.FULL, Level.RECORD)
