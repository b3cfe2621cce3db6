"""``dataclass``, ``field`` and ``replace`` as in ``dataclasses``, for a program that starts often.

The standard ones write source for each class and compile it, and load a parser of
Python to look at it: together a third of a warm run's start. These do with one function
what each class has compiled there. Type checkers see the standard ones.

Known are ``frozen``, ``slots`` and ``kw_only``, with the meaning that the standard
library gives them; ``slots`` is meant in any case. There is no inheritance of fields,
and no ``__post_init__``.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter

from rootrun.annotation import TYPE_CHECKING, NoReturn, TypeVar

_Class = TypeVar("_Class", bound=type)
_Instance = TypeVar("_Instance")
_Setter = Callable[[object, object], None]


class _Factory:
    """What makes the default of a field, anew for each instance."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


class _Fields:
    """The fields of a class: how they are set, filled up and read."""

    __slots__ = ("defaults", "factories", "is_kw_only", "setters", "values_of")

    def __init__(self, made: type, given: Mapping[str, object], *, is_kw_only: bool) -> None:
        names: tuple[str, ...] = made.__dict__["__slots__"]
        self.setters: dict[str, _Setter] = {name: made.__dict__[name].__set__ for name in names}
        self.is_kw_only = is_kw_only
        self.defaults: dict[str, object] = {}
        self.factories: dict[str, Callable[[], object]] = {}
        for name, value in given.items():
            if isinstance(value, _Factory):
                self.factories[name] = value.make
            else:
                self.defaults[name] = value
        # Of one name attrgetter returns the value itself, which compares and hashes as well.
        self.values_of: Callable[[object], object] = attrgetter(*names)

    def complete(
        self, args: tuple[object, ...], values: Mapping[str, object]
    ) -> Mapping[str, object]:
        """Return ``values`` with those of ``args`` and the defaults.

        Raises TypeError where one is missing or given twice, or there are too many.
        """
        by_position = dict(zip(self.setters, args, strict=False))
        filled = {**self.defaults, **by_position, **values}
        for name, make in self.factories.items():
            if name not in filled:
                filled[name] = make()
        is_wrong = len(filled) != len(self.setters)
        if args:
            most = 0 if self.is_kw_only else len(self.setters)
            is_wrong |= len(args) > most or not by_position.keys().isdisjoint(values)
        if is_wrong:
            raise TypeError(f"not the fields {', '.join(self.setters)}: {args} {values}")
        return filled


def _dataclass(
    *, frozen: bool = False, slots: bool = True, kw_only: bool = False
) -> Callable[[_Class], _Class]:
    """Return a decorator that makes a dataclass of a class with annotations."""
    if not slots:
        raise TypeError("dataclass without slots")
    return lambda cls: _made(cls, frozen=frozen, kw_only=kw_only)


def _made(cls: _Class, *, frozen: bool, kw_only: bool) -> _Class:
    names = tuple(cls.__annotations__)
    given = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
    dropped = {*given, "__dict__", "__weakref__"}
    rest = {name: value for name, value in cls.__dict__.items() if name not in dropped}
    methods = _METHODS_OF_FROZEN if frozen else _METHODS
    # Slots cannot be added to a class that is there: this is another one of the same name.
    made: _Class = type(cls)(cls.__name__, cls.__bases__, {**methods, **rest, "__slots__": names})
    made.__fields__ = _Fields(made, given, is_kw_only=kw_only)  # type: ignore[attr-defined] # new
    return made


def _fields_of(instance: object) -> _Fields:
    fields: _Fields = instance.__fields__  # type: ignore[attr-defined] # set by _made
    return fields


def _init(self: object, *args: object, **values: object) -> None:
    fields = _fields_of(self)
    filled: Mapping[str, object] = values
    if args or len(values) != len(fields.setters):
        filled = fields.complete(args, values)
    try:
        for name, set_value in fields.setters.items():
            set_value(self, filled[name])
    except KeyError as error:  # as many as there are fields, but others
        raise TypeError(f"no value for {error}") from None


def _repr(self: object) -> str:
    values = (f"{name}={getattr(self, name)!r}" for name in _fields_of(self).setters)
    return f"{type(self).__qualname__}({', '.join(values)})"


def _eq(self: object, other: object) -> object:  # NotImplemented for other types
    if type(other) is not type(self):
        return NotImplemented
    values_of = _fields_of(self).values_of
    return values_of(self) == values_of(other)


def _hash(self: object) -> int:
    return hash(_fields_of(self).values_of(self))


def _refuse(self: object, name: str, *_: object) -> NoReturn:
    raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be changed")


_METHODS: Mapping[str, object] = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": None,
}
_METHODS_OF_FROZEN = {
    **_METHODS,
    "__hash__": _hash,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}


def _field(*, default_factory: Callable[[], object]) -> object:
    """Return the default of a field of which each instance gets one of its own."""
    return _Factory(default_factory)


def _replace(instance: _Instance, **changes: object) -> _Instance:
    """Return a copy of a dataclass' ``instance`` in which the fields ``changes`` are others."""
    copy = object.__new__(type(instance))
    for name, set_value in _fields_of(instance).setters.items():
        set_value(copy, changes.pop(name) if name in changes else getattr(instance, name))
    if changes:
        raise TypeError(f"no fields of {type(instance).__name__}: {', '.join(changes)}")
    return copy


if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    dataclass, field, replace = _dataclass, _field, _replace

__all__ = ["dataclass", "field", "replace"]
