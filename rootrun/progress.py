"""How the stages of a run tell how far they are, without knowing who listens."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rootrun.annotation import Protocol


class Progress(Protocol):
    """A listener to stages. One long stage is open at a time."""

    def stage(
        self, name: str, total_bytes: int | None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Open the stage ``name``, a participle as in ``unpacking layer 3 of 7``.

        The value of the context takes the number of bytes done since the last
        call; it may be called often. ``total_bytes`` is None where nobody knows.
        """

    def ended(self, stage: str, *, part: str = "") -> None:  # noqa: ARG002
        """Hear that ``stage``, or a part of it, took all of the time since the last call."""
        return

    def ran_beside(self, stage: str, wall_s: float) -> None:  # noqa: ARG002
        """Hear that ``stage`` took so long in another process, beside those that are told here."""
        return


class Silence(Progress):
    """A Progress that tells nobody."""

    @contextmanager
    def stage(self, name: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        """Take the bytes and drop them."""
        yield _drop


def _drop(_: int) -> None:
    return
