"""What annotations need of ``typing``, for a program that starts often.

That module would be a twentieth of a warm run's start, and each of its protocols and new types
is made there by a lot of code. To who runs the program a ``Protocol`` is a plain class, and a
``NewType`` of ``str`` is ``str``. Type checkers see the standard ones.
"""

# Type checkers take this name for true, wherever it comes from (PEP 484).
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NewType, NoReturn, Protocol, Self, TypeVar, cast, overload
else:
    Protocol = object
    NoReturn = Self = None

    def NewType(_name: str, base: type) -> type:  # noqa: N802 # as in typing
        """Return ``base``: to call it with one of its values gives that value."""
        return base

    def TypeVar(name: str, **_: object) -> str:  # noqa: N802 # as in typing
        """Return something that an annotation may name."""
        return name

    def cast(_type: object, value: object) -> object:
        """Return ``value``."""
        return value

    def overload(function: object) -> object:
        """Return ``function``, which the last of its name replaces."""
        return function


__all__ = [
    "NewType",
    "NoReturn",
    "Protocol",
    "Self",
    "TYPE_CHECKING",
    "TypeVar",
    "cast",
    "overload",
]
