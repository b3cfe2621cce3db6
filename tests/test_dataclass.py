"""Our dataclasses behave as those of the standard library do, as far as rootrun uses them."""

import dataclasses
from collections.abc import Callable, Mapping
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootrun import dataclass as ours

LIBRARIES = pytest.mark.parametrize("library", [dataclasses, ours], ids=["standard", "ours"])
_NAMES = st.sampled_from(["name", "size", "marks", "owner"])
_ARGS = st.lists(st.integers(), max_size=5)
_VALUES = st.dictionaries(_NAMES, st.integers(), max_size=4)


def _frozen(library: ModuleType) -> type:
    @library.dataclass(frozen=True, slots=True, kw_only=True)
    class Value:
        """What never changes."""

        name: str
        size: int = 3
        marks: list[str] = library.field(default_factory=list)

        @property
        def double(self) -> int:
            return 2 * self.size

    return Value


def _changing(library: ModuleType) -> type:
    @library.dataclass(slots=True)
    class Value:
        name: str
        size: int = 3
        marks: list[str] = library.field(default_factory=list)

    return Value


def _said(make: Callable[[], object]) -> str:
    try:
        return repr(make()).rpartition(".")[2]
    except TypeError:
        return "TypeError"


@pytest.mark.parametrize("kind", [_frozen, _changing], ids=["frozen", "changing"])
@given(args=_ARGS, values=_VALUES)
def test_takes_what_the_standard_one_takes(
    kind: Callable[[ModuleType], type], args: list[int], values: Mapping[str, int]
) -> None:
    standard, own = kind(dataclasses), kind(ours)
    assert _said(lambda: own(*args, **values)) == _said(lambda: standard(*args, **values))


@LIBRARIES
def test_frozen_ones_cannot_be_changed(library: ModuleType) -> None:
    value = _frozen(library)(name="a")
    with pytest.raises(AttributeError):
        value.size = 4
    with pytest.raises(AttributeError):
        del value.size
    with pytest.raises((AttributeError, TypeError)):
        value.other = 4
    assert value.size == 3


@LIBRARIES
def test_others_can_be_changed_in_their_fields_alone(library: ModuleType) -> None:
    kind = _changing(library)
    value = kind("a")
    value.size = 4
    assert value == kind("a", 4)
    with pytest.raises(AttributeError):
        value.other = 4


@LIBRARIES
def test_equal_are_those_of_one_class_with_equal_fields(library: ModuleType) -> None:
    kind, other = _frozen(library), _frozen(library)
    assert kind(name="a") == kind(name="a", size=3)
    assert kind(name="a") != kind(name="b")
    assert kind(name="a") != other(name="a")


@LIBRARIES
def test_only_frozen_ones_have_a_hash(library: ModuleType) -> None:
    kind = _frozen(library)
    assert len({kind(name="a", marks=()), kind(name="a", marks=()), kind(name="b", marks=())}) == 2
    with pytest.raises(TypeError):
        hash(_changing(library)("a"))


@LIBRARIES
def test_each_gets_a_default_of_its_own(library: ModuleType) -> None:
    kind = _frozen(library)
    first, second = kind(name="a"), kind(name="b")
    first.marks.append("x")
    assert second.marks == []


@LIBRARIES
def test_replace_leaves_the_other_fields(library: ModuleType) -> None:
    value = _frozen(library)(name="a", size=7)
    changed = library.replace(value, name="b")
    assert (changed.name, changed.size, changed.double, value.name) == ("b", 7, 14, "a")
    with pytest.raises(TypeError):
        library.replace(value, other=1)


@LIBRARIES
def test_class_keeps_its_name_and_words(library: ModuleType) -> None:
    kind = _frozen(library)
    assert (kind.__name__, kind.__doc__) == ("Value", "What never changes.")
    assert kind.__module__ == __name__
