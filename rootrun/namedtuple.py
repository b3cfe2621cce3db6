"""``NamedTuple`` as in ``typing``, for a program that starts often.

The standard one compiles a function for each class, which takes ten times as long as all
else that is to be done. Type checkers see the standard one.
"""

from collections import _tuplegetter  # type: ignore[attr-defined] # reads as fast as a slot
from collections.abc import Mapping

from rootrun.annotation import TYPE_CHECKING, Self


class _NamedTupleType(type):
    """The type of named tuples: makes fields of the annotations of a class."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, object]
    ) -> "_NamedTupleType":
        """Make the class ``name``; its fields come in the order of its body."""
        fields = tuple(_annotations(namespace))
        defaults = {field: namespace[field] for field in fields if field in namespace}
        getters = {field: _tuplegetter(index, "") for index, field in enumerate(fields)}
        own = {"__slots__": (), "_fields": fields, "_field_defaults": defaults}
        return super().__new__(cls, name, bases, {**own, **namespace, **getters})


def _annotations(namespace: Mapping[str, object]) -> Mapping[str, object]:
    # From 3.14 on a class body has a function that makes them (PEP 649); 1 asks for values.
    make = namespace.get("__annotate_func__")
    found = make(1) if callable(make) else namespace.get("__annotations__", {})
    assert isinstance(found, dict)
    return found


class _NamedTuple(tuple[object, ...], metaclass=_NamedTupleType):
    """Base of tuples whose items have names."""

    if TYPE_CHECKING:  # set for each class by its type
        _fields: tuple[str, ...]
        _field_defaults: dict[str, object]

    def __new__(cls, *args: object, **values: object) -> Self:
        missing = len(cls._fields) - len(args)
        if values or not 0 <= missing <= len(cls._field_defaults):
            args = cls._complete(args, values)
        elif missing:
            args += tuple(cls._field_defaults.values())[-missing:]
        return tuple.__new__(cls, args)

    @classmethod
    def _complete(
        cls, args: tuple[object, ...], values: Mapping[str, object]
    ) -> tuple[object, ...]:
        by_position = dict(zip(cls._fields, args, strict=False))
        filled = {**cls._field_defaults, **by_position, **values}
        is_wrong = len(args) > len(cls._fields) or len(filled) != len(cls._fields)
        if is_wrong or not by_position.keys().isdisjoint(values):
            raise TypeError(f"{cls.__name__}: not its fields {cls._fields}: {args} {values}")
        try:
            return tuple([filled[name] for name in cls._fields])
        except KeyError as error:  # as many as there are fields, but others
            raise TypeError(f"{cls.__name__}: no value for {error}") from None

    def _replace(self, **changes: object) -> Self:
        """Return a copy in which the fields ``changes`` are others."""
        made = tuple.__new__(type(self), map(changes.pop, self._fields, self))
        if changes:
            raise TypeError(f"{type(self).__name__}: no fields: {', '.join(changes)}")
        return made

    def __repr__(self) -> str:
        values = (f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
        return f"{type(self).__name__}({', '.join(values)})"


if TYPE_CHECKING:
    from typing import NamedTuple
else:
    NamedTuple = _NamedTuple

__all__ = ["NamedTuple"]
