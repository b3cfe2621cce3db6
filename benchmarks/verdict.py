"""Rows of a table: what was measured, what it should be, and whether it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measured ``value`` and the most that it may be; ``limit`` None asks for nothing."""

    name: str
    floor: str  # what it is compared with, for people
    value: float
    unit: str  # "x" for a ratio
    limit: float | None = None
    digits: int = 2

    @property
    def is_met(self) -> bool:
        """Whether the value, as it is shown, is within the limit."""
        return self.limit is None or round(self.value, self.digits) <= self.limit

    def shown(self) -> str:
        """Return the row as a line, with its verdict."""
        measured = f"{self.value:.{self.digits}f} {self.unit}"
        if self.limit is None:
            return f"{self.name:38} {self.floor:>12} {measured:>12}"
        target = f"{self.limit:g} {self.unit}"
        verdict = "met" if self.is_met else "MISSED"
        return f"{self.name:38} {self.floor:>12} {measured:>12} {target:>10}  {verdict}"


HEADER = f"{'measure':38} {'subids':>12} {'measured':>12} {'target':>10}  verdict"


def ratio(name: str, *, value: float, floor: float, unit: str, limit: float | None) -> Row:
    """Return ``value`` as a multiple of ``floor``, which is shown with ``unit``."""
    return Row(name=name, floor=f"{floor:.2f} {unit}", value=value / floor, unit="x", limit=limit)


def extra(name: str, *, value: float, floor: float, unit: str, limit: float | None) -> Row:
    """Return by how much ``value`` is over ``floor``."""
    return Row(name=name, floor=f"{floor:.2f} {unit}", value=value - floor, unit=unit, limit=limit)
