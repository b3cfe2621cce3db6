"""What answers a call in the kernel's place."""

from collections.abc import Callable

from rootrun.fakeroot.caller import Caller

Handler = Callable[[Caller, str], int | None]
"""Takes the caller and the call's name; returns the call's value, None to let the kernel make it.

Raises the ``OSError`` that the call is to end with.
"""
