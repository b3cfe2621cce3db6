"""What a link does to the frames of a machine, as a value."""

from rootrun.errors import UsageError
from rootrun.namedtuple import NamedTuple

MOST_DELAY_S = 60.0
LEAST_BANDWIDTH = 8_000


class Shape(NamedTuple):
    """To and from a machine, the same in each direction."""

    delay_s: float = 0.0
    loss: float = 0.0  # the part of the frames that gets lost
    bandwidth: int | None = None  # bits per second


NO_SHAPE = Shape()


def shape_of(what: str, *, delay: float | None, loss: float | None, bandwidth: int | None) -> Shape:
    """Return what a user asks for; raises UsageError, about ``what``, for what cannot be."""
    if delay is not None and not 0 <= delay <= MOST_DELAY_S:
        raise UsageError(f"{what}: delay {delay!r}: not between 0 and {MOST_DELAY_S:g} seconds")
    if loss is not None and not 0 <= loss <= 1:
        raise UsageError(f"{what}: loss {loss!r}: not between 0 and 1")
    if bandwidth is not None and bandwidth < LEAST_BANDWIDTH:
        raise UsageError(f"{what}: bandwidth {bandwidth!r}: less than {LEAST_BANDWIDTH} bit/s")
    return Shape(delay or 0.0, loss or 0.0, bandwidth)
