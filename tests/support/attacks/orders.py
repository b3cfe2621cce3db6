"""Attacks by what comes after what: long ways, loops, swaps, whiteouts, modes."""

from tests.support.attacks.attack import EVIL, Attack, AttackMaker, inside, refused
from tests.support.tarball import (
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    whiteout,
)


def _long_links(outside: str) -> Attack:
    """Return the game of CVE-2025-4517: a path that realpath(3) gives up on is not checked."""
    part = "d" * 247
    links = []
    here = ""
    for letter in "abcdefghijklmnop":
        links += [directory(f"{here}{part}"), symlink(f"{here}{letter}", part)]
        here += f"{part}/"
        if len(here) > 3500:
            break
    chain = "/".join("abcdefghijklmnop"[: here.count("/")])
    links += [
        symlink(f"{chain}/{'l' * 200}", "../" * here.count("/")),
        symlink("escape", f"{chain}/{'l' * 200}/..{outside}"),
        file("escape/secret", EVIL),
    ]
    return inside("test -L /escape", tuple(links))


_GAMES: dict[str, AttackMaker] = {
    "loop of symlinks": lambda _: refused(
        "too many symlinks", (symlink("a", "b"), symlink("b", "a"), file("a/f"))
    ),
    "loop of symlinks in layers": lambda _: refused(
        "too many symlinks", (symlink("a", "b"),), (symlink("b", "a"),), (file("a/f"),)
    ),
    "symlink to itself": lambda _: refused("too many symlinks", (symlink("a", "a"), file("a/f"))),
    "symlinks that multiply": lambda _: refused(
        "the path is too long",
        (*(symlink(f"l{n}", "/".join([f"l{n + 1}"] * 50)) for n in range(30)), file("l0/f")),
    ),
    "path too long for realpath": _long_links,
    "path of 3.9 kB": lambda _: inside("test -d /d", (file("d/" * 1950 + "f", EVIL),)),
    "path of 30 kB": lambda _: refused("the path is too long", (file("d/" * 15000 + "f"),)),
    "name of 255 bytes": lambda _: inside(f"test -f /{'n' * 255}", (file("n" * 255),)),
    "whiteout of a name of 251 bytes": lambda _: inside(
        f"test ! -e /{'n' * 251}", (file("n" * 251),), (whiteout("n" * 251),)
    ),
    "name of 256 bytes": lambda _: refused("File name too long", (file("n" * 256),)),
    "symlink that swaps while it is used": lambda to: inside(
        f"test $(cat /a/secret) = evil && test ! -e {to}/secret",
        (directory("a"), file("a/x"), symlink("a", to), directory("a"), file("a/secret", EVIL)),
    ),
    "directory that becomes a symlink above": lambda to: inside(
        f"test $(cat {to}/secret) = evil",
        (directory("a"), file("a/below", b"x")),
        (symlink("a", to),),
        (file("a/secret", EVIL),),
    ),
    "symlink that becomes a directory above": lambda to: inside(
        "test $(cat /a/secret) = evil && test ! -L /a",
        (symlink("a", to),),
        (directory("a"),),
        (file("a/secret", EVIL),),
    ),
    "deleted symlink, and an entry below it": lambda to: inside(
        "test $(cat /a/secret) = evil && test ! -L /a",
        (symlink("a", to),),
        (whiteout("a"), file("a/secret", EVIL)),
    ),
    "file as a parent": lambda _: refused("not a directory", (file("f"), file("f/x"))),
    "file of a layer below as a parent": lambda _: inside(
        "test $(cat /f/x) = evil", (file("f"),), (file("f/x", EVIL),)
    ),
}

_WHITEOUTS: dict[str, AttackMaker] = {
    "whiteout of a parent of a later entry": lambda _: inside(
        "test $(cat /d/new) = evil && test ! -e /d/old",
        (file("d/old"),),
        (whiteout("d"), file("d/new", EVIL)),
    ),
    "whiteout of a parent of an earlier entry": lambda _: inside(
        "test $(cat /d/new) = evil && test ! -e /d/old",
        (file("d/old"),),
        (file("d/new", EVIL), whiteout("d")),
    ),
    "whiteout before and behind": lambda _: inside(
        "test $(cat /d/new) = evil && test ! -e /d/old",
        (file("d/old"),),
        (whiteout("d/old"), whiteout("d/new"), file("d/new", EVIL), whiteout("d/new")),
    ),
    "opaque marker in the end": lambda _: inside(
        "test $(cat /d/new) = evil && test ! -e /d/old",
        (file("d/old"),),
        (file("d/new", EVIL), opaque("d")),
    ),
    "leftovers of aufs": lambda to: inside(
        "test ! -e /.wh..wh.plnk && test ! -e /.wh..wh.aufs && test ! -e /d/.wh..wh.orph",
        (
            hardlink(".wh..wh.plnk/1.2", f"{to}/secret"),
            symlink(".wh..wh.aufs", to),
            file("d/.wh..wh.orph", EVIL),
            directory(".wh..wh.plnk"),
        ),
    ),
    "whiteouts of other types": lambda to: inside(
        "test ! -e /gone && test ! -e /lost && test ! -e /etc/group",
        (file("gone"), file("lost")),
        (symlink(".wh.gone", to), directory(".wh.lost"), hardlink("etc/.wh.group", "bin/sh")),
    ),
    "opaque markers of other types": lambda to: inside(
        "test ! -e /d/old && test ! -e /e/old",
        (file("d/old"), file("e/old")),
        (symlink("d/.wh..wh..opq", to), directory("e/.wh..wh..opq")),
    ),
}
_MODES: dict[str, AttackMaker] = {
    "directory of mode 000 with a child": lambda _: inside(
        "test $(cat /d/e/f) = evil",
        (directory("d", 0o000), directory("d/e", 0o000), file("d/e/f", EVIL, 0o000)),
    ),
    "directory of mode 000 that a layer above fills": lambda _: inside(
        "test $(cat /d/e/f) = evil && test ! -e /d/e/g",
        (directory("d", 0o000), directory("d/e", 0o000), file("d/e/g", b"", 0o000)),
        (file("d/e/f", EVIL), whiteout("d/e/g")),
    ),
    "directory of mode 000 that goes": lambda _: inside(
        "test $(cat /d) = evil", (directory("d", 0o000), file("d/e/f"), file("d", EVIL))
    ),
    "directory of mode 000 that a layer above deletes": lambda _: inside(
        "test ! -e /d", (directory("d", 0o000), file("d/e/f")), (whiteout("d"),)
    ),
    "file over a directory, and the other way round": lambda _: inside(
        "test $(cat /a) = evil && test -d /b && test ! -e /b/x",
        (file("a/x"), file("b")),
        (file("a", EVIL), directory("b")),
    ),
    "set-id bits on everything": lambda _: inside(
        "test -u /f",
        (
            file("f", EVIL, 0o7777),
            directory("d", 0o7777),
            fifo("p", 0o7777),
            symlink("l", "f", mode=0o7777),
            hardlink("h", "f", 0o7777),
        ),
    ),
}

ORDERS: dict[str, AttackMaker] = {**_GAMES, **_WHITEOUTS, **_MODES}
