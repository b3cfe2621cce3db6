"""Attacks by symlinks on the way, in place of the last name, and by hard links."""

from tests.support.attacks.attack import EVIL, UP, Attack, AttackMaker, inside, refused
from tests.support.tarball import (
    Member,
    device,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    whiteout,
)


def _through(way: str) -> dict[str, AttackMaker]:
    """Return attacks through the symlink ``l``, which the same layer or one below has."""
    entries: dict[str, tuple[tuple[Member, ...], str]] = {
        "file": ((file("l/secret", EVIL),), "test $(cat /l/secret) = evil"),
        "directory": ((directory("l/directory", 0o777),), "test -d /l/directory"),
        "symlink": ((symlink("l/secret", "x"),), "test $(readlink /l/secret) = x"),
        "hard link": ((file("mine", EVIL), hardlink("l/secret", "mine")),
                      "test $(cat /l/secret) = evil"),
        "fifo": ((fifo("l/secret"),), "test -p /l/secret"),
        "device": ((device("l/secret", 1, 3),), "test ! -f /l/secret -o ! -s /l/secret"),
        "whiteout": ((whiteout("l/secret"), whiteout("l/directory")), "test ! -e /l/secret"),
        "opaque marker": ((opaque("l"), opaque("l/directory")), "test ! -e /l/secret"),
        "deep file": ((file("l/new/deep/f", EVIL),), "test $(cat /l/new/deep/f) = evil"),
    }  # fmt: skip

    def made(place: str, entry: tuple[Member, ...], holds: str) -> AttackMaker:
        def make(outside: str) -> Attack:
            target = UP + outside.lstrip("/") if way == "climbing" else outside
            link = symlink("l", target)
            holds_too = f'test "$(readlink /l)" = {target} && {holds}'
            if place == "layer":
                return inside(holds_too, (link, *entry))
            if place == "layer below":
                return inside(holds_too, (link,), entry)
            hops = (symlink("l", "hop/.//"), symlink("hop", target))
            return inside(holds, hops, entry)

        return make

    return {
        f"{kind} through a {way} symlink of the {place}": made(place, *entry)
        for kind, entry in entries.items()
        for place in ("layer", "layer below", "layer below by two hops")
    }


def _in_place_of_a_symlink() -> dict[str, AttackMaker]:
    entries: dict[str, tuple[tuple[Member, ...], str]] = {
        "file": ((file("l", EVIL, 0o777),), "test $(cat /l) = evil"),
        "directory": ((directory("l", 0o777),), "test -d /l"),
        "directory with a slash": ((directory("l/", 0o777, mtime=5),), "test -d /l"),
        "fifo": ((fifo("l", 0o777),), "test -p /l"),
        "device": ((device("l", 1, 3),), "test ! -d /l"),
        "symlink": ((symlink("l", "elsewhere"),), "test $(readlink /l) = elsewhere"),
        "hard link": ((file("mine", EVIL), hardlink("l", "mine")), "test $(cat /l) = evil"),
        "whiteout and file": ((whiteout("l"), file("l", EVIL)), "test $(cat /l) = evil"),
        "directory and file in it": ((directory("l"), file("l/secret", EVIL)),
                                     "test $(cat /l/secret) = evil"),
    }  # fmt: skip

    def made(victim: str, is_below: bool, entry: tuple[Member, ...], holds: str) -> AttackMaker:
        def make(outside: str) -> Attack:
            link = symlink("l", f"{outside}/{victim}")
            held = f"test ! -L /l && {holds}" if "readlink" not in holds else holds
            return inside(held, (link,), entry) if is_below else inside(held, (link, *entry))

        return make

    return {
        f"{kind} in place of a symlink to the {victim} in the layer{' below' * is_below}": made(
            victim, is_below, *entry
        )
        for kind, entry in entries.items()
        for victim in ("secret", "directory")
        for is_below in (False, True)
    }


_NO_TARGET = "its target is in no layer"
_HARD_LINKS: dict[str, AttackMaker] = {
    "hard link to an absolute path": lambda to: refused(
        _NO_TARGET, (hardlink("h", f"{to}/secret"),)
    ),
    "hard link that climbs": lambda to: refused(
        "leaves the rootfs", (hardlink("h", f"{UP}{to}/secret"),)
    ),
    "hard link through a symlink": lambda to: refused(
        _NO_TARGET, (symlink("l", to), hardlink("h", "l/secret"))
    ),
    "hard link through a symlink below": lambda to: refused(
        _NO_TARGET, (symlink("l", to),), (hardlink("h", "l/secret"),)
    ),
    "hard link to a symlink, and a write to it": lambda to: inside(
        "test $(cat /h) = evil",
        (symlink("l", f"{to}/secret"), hardlink("h", "l"), file("h", EVIL)),
    ),
    "hard link to a symlink below": lambda to: inside(
        f"test $(readlink /h) = {to}/secret; ! cat /h",
        (symlink("l", f"{to}/secret"),),
        (hardlink("h", "l"),),
    ),
    "hard link to a symlink to a directory, and an entry below it": lambda to: inside(
        "test $(cat /h/secret) = evil && test -L /h",
        (symlink("l", to), hardlink("h", "l"), file("h/secret", EVIL)),
    ),
    "hard link to a directory": lambda _: refused(
        "is a hard link to a directory", (directory("d"), hardlink("h", "d"))
    ),
    "hard link to a directory below": lambda _: refused(
        "leads to what is no file", (hardlink("h", "etc"),)
    ),
    "hard link to a whiteout": lambda _: refused(
        "its target is deleted", (whiteout("etc"), hardlink("h", "etc"))
    ),
    "hard link to a device": lambda _: inside(
        "test ! -s /h", (device("n", 1, 1), hardlink("h", "n"))
    ),
    "hard link to a fifo": lambda _: inside("test -p /h", (fifo("n"), hardlink("h", "n"))),
    "hard link to itself": lambda _: refused("to itself", (hardlink("h", "h"),)),
    "hard links to each other": lambda _: refused(
        _NO_TARGET, (hardlink("a", "b"),), (hardlink("b", "a"),)
    ),
    "hard link to the root": lambda _: refused(
        "is a hard link to a directory", (hardlink("h", "/"),)
    ),
    "hard link that takes the place of its target's directory": lambda _: refused(
        "takes the place of its own target", (file("d/f"), hardlink("d", "d/f"))
    ),
}

LINKS: dict[str, AttackMaker] = {
    **_through("absolute"),
    **_through("climbing"),
    **_in_place_of_a_symlink(),
    **_HARD_LINKS,
}
