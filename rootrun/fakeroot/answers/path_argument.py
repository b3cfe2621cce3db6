"""What a call names: a path, from where it starts, and whether a symlink at its end counts."""

from rootrun.fakeroot import calls
from rootrun.fakeroot.caller import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Caller, signed
from rootrun.namedtuple import NamedTuple

_AT_SYMLINK_FOLLOW = 0x400  # of linkat(2) alone
_DESCRIPTORS = frozenset({"fchmod", "fchdir", "fsetxattr", "fremovexattr"})
# Of those whose first argument is a directory, which argument holds flags of AT_*.
_FLAGS = {
    "fchmodat2": 3,
    "utimensat": 3,
    "utimensat_time64": 3,
    "faccessat2": 3,
    "execveat": 4,
    "linkat": 4,
}
_NOT_FOLLOWED = frozenset(
    {
        *(*calls.CREATE, *calls.MKNOD, *calls.RENAME, *calls.REMOVE),
        *("lsetxattr", "lremovexattr"),
    }
)


class PathArgument(NamedTuple):
    """A path relative to ``directory``, a number of the caller's; or that one itself."""

    directory: int
    path: bytes
    follow: bool
    is_descriptor: bool = False


def path_argument(caller: Caller, name: str) -> PathArgument:
    """Return what the call acts on; of two names the first one, of a symlink where it is to be."""
    if name in _DESCRIPTORS:
        return PathArgument(signed(caller.arguments[0]), b"", follow=False, is_descriptor=True)
    start = 1 if name in ("symlink", "symlinkat") else 0
    if not is_relative(name):
        path = caller.path_at(caller.arguments[start])
        return PathArgument(AT_FDCWD, path, follow=name not in _NOT_FOLLOWED)
    directory, address = caller.arguments[start : start + 2]
    flags = caller.arguments[_FLAGS[name]] if name in _FLAGS else 0
    # utimensat(2): without a path it is about the descriptor, as with AT_EMPTY_PATH and no text.
    path = caller.path_at(address) if address or not name.startswith("utimensat") else b""
    is_descriptor = not path and (not address or bool(flags & AT_EMPTY_PATH))
    follow = not flags & AT_SYMLINK_NOFOLLOW and name not in _NOT_FOLLOWED
    if name == "linkat":
        follow = bool(flags & _AT_SYMLINK_FOLLOW)
    return PathArgument(signed(directory), path, follow, is_descriptor)


def second_argument(caller: Caller, name: str) -> PathArgument:
    """Return the new name of a rename or link."""
    if not is_relative(name):
        return PathArgument(AT_FDCWD, caller.path_at(caller.arguments[1]), follow=False)
    directory, address = caller.arguments[2:4]
    return PathArgument(signed(directory), caller.path_at(address), follow=False)


def is_relative(name: str) -> bool:
    """Say whether the call's path comes behind a directory's descriptor."""
    return name.removesuffix("_time64").endswith(("at", "at2"))
