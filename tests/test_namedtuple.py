"""Our named tuples behave as those of the standard library do, as far as rootrun uses them."""

import typing
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootrun import namedtuple as ours


class Standard(typing.NamedTuple):
    """A point."""

    x: int
    y: int
    label: str = "a"
    width: int = 1

    @property
    def sum(self) -> int:
        return self.x + self.y


class Own(ours.NamedTuple):
    """A point."""

    x: int
    y: int
    label: str = "a"
    width: int = 1

    @property
    def sum(self) -> int:
        return self.x + self.y


KINDS = pytest.mark.parametrize("kind", [Standard, Own])
_NAMES = st.sampled_from(["x", "y", "label", "width", "z"])


def _said(make: Callable[[], object]) -> str:
    try:
        return repr(make()).partition("(")[2]
    except (TypeError, ValueError):
        return "refused"


@given(args=st.lists(st.integers(), max_size=5), values=st.dictionaries(_NAMES, st.integers()))
def test_takes_what_the_standard_one_takes(args: list[int], values: Mapping[str, int]) -> None:
    assert _said(lambda: Own(*args, **values)) == _said(lambda: Standard(*args, **values))  # type: ignore[arg-type] # wrong ones too


@given(changes=st.dictionaries(_NAMES, st.integers()))
def test_replaces_what_the_standard_one_replaces(changes: Mapping[str, int]) -> None:
    own, standard = Own(1, 2), Standard(1, 2)
    assert _said(lambda: own._replace(**changes)) == _said(lambda: standard._replace(**changes))  # type: ignore[arg-type] # wrong ones too


@KINDS
def test_is_a_tuple_whose_items_have_names(kind: "type[Standard | Own]") -> None:
    point = kind(1, y=2)
    x, y, *rest = point
    assert (x, y, rest, point.label, point.width, point.sum) == (1, 2, ["a", 1], "a", 1, 3)
    assert point == (1, 2, "a", 1)
    assert isinstance(point, tuple)
    assert hash(point) == hash((1, 2, "a", 1))
    assert kind._fields == ("x", "y", "label", "width")


@KINDS
def test_cannot_be_changed(kind: "type[Standard | Own]") -> None:
    point = kind(1, 2)
    for name in ("x", "other"):
        with pytest.raises(AttributeError):
            setattr(point, name, 5)


@KINDS
def test_is_as_large_as_a_tuple_with_slots(kind: "type[Standard | Own]") -> None:
    assert kind.__doc__ == "A point."
    assert not hasattr(kind(1, 2), "__dict__")
