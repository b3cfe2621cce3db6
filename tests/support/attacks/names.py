"""Attacks by names: climbing, empty, of the root, odd ones."""

import tarfile

from tests.support.attacks.attack import EVIL, Attack, AttackMaker, inside, refused
from tests.support.tarball import (
    Member,
    device,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    padded,
    symlink,
    tarball,
    whiteout,
)
from tests.support.workplace import busybox_layer


def _climbing(name: str) -> dict[str, AttackMaker]:
    kinds = {
        "file": file(name, EVIL),
        "directory": directory(name, 0o777),
        "symlink": symlink(name, "x"),
        "hard link": hardlink(name, "a"),
        "fifo": fifo(name),
        "device": device(name, 1, 3),
        "whiteout": whiteout(name),
        "opaque marker": opaque(name),
    }

    def made(entry: Member) -> AttackMaker:
        return lambda _: refused("leaves the rootfs", (file("a"), entry))

    return {f"{kind} called {name}": made(entry) for kind, entry in kinds.items()}


def _pax(**records: bytes) -> bytes:
    """Return an extended header whose records may be anything."""
    content = b""
    for key, value in records.items():
        body = b" %b=%b\n" % (key.encode(), value)
        length = len(body) + 2
        length += len(str(length)) > 2
        content += b"%d%b" % (length, body)
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, len(content)
    return header.tobuf(tarfile.USTAR_FORMAT) + padded(content)


def _with_prefix(prefix: bytes) -> bytes:
    """Return a file whose ustar header has another part of its name in the field for that."""
    block = bytearray(file("made", b"").header.tobuf(tarfile.USTAR_FORMAT))
    block[345:500] = prefix.ljust(155, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


_PLAIN: dict[str, AttackMaker] = {
    **_climbing("../outside/made"),
    **_climbing("a/../../outside/made"),
    "whiteout of ..": lambda _: refused("is a whiteout of no name", (file("d/.wh..."),)),
    "whiteout of .": lambda _: refused("is a whiteout of no name", (file("d/.wh.."),)),
    "whiteout of nothing": lambda _: refused("is a whiteout of no name", (file("d/.wh."),)),
    "entry below a whiteout": lambda _: refused("is below a whiteout", (file(".wh.etc/f"),)),
    "climbing PAX path": lambda _: refused(
        "leaves the rootfs", (_pax(path=b"../outside/made"), file("innocent"))
    ),
    "PAX path with a NUL": lambda _: refused(
        "malformed extended header", (_pax(path=b"a\0../../outside"), file("innocent"))
    ),
    "climbing PAX target of a hard link": lambda _: refused(
        "leaves the rootfs", (_pax(linkpath=b"../outside/secret"), hardlink("h", "a"))
    ),
    "climbing prefix of ustar": lambda _: refused("leaves the rootfs", (_with_prefix(b"../.."),)),
    "long climbing name of GNU": lambda _: Attack(
        (tarball(file("../" + "x" * 120), tar_format=tarfile.GNU_FORMAT),), "leaves the rootfs"
    ),
    "empty name": lambda _: refused("is not a name", (file(""),)),
    "root as a file": lambda _: refused("changes the type of the root", (file("./"),)),
    "root as a symlink": lambda to: refused("changes the type of the root", (symlink("/", to),)),
    "root as a device": lambda _: refused("changes the type of the root", (device(".", 1, 3),)),
    "root as a hard link": lambda _: refused(
        "changes the type of the root", (file("a"), hardlink("./.", "a"))
    ),
    "root of mode 000": lambda _: inside("test -x /bin/sh", (directory("./", 0o000),)),
    "root that is opaque": lambda _: Attack(
        (tarball(file("f")), busybox_layer(opaque(""))), holds="test ! -e /f"
    ),
    "absolute name": lambda to: inside(
        f"test $(cat {to}/made) = evil", (file(f"{to}/made", EVIL),)
    ),
    "absolute name with dots": lambda to: inside(
        f"test $(cat {to}/made) = evil", (file(f"//.//.{to}//./made", EVIL),)
    ),
    "file with a slash behind its name": lambda _: inside(
        "test -f /f -o -d /f", (file("f/", EVIL),)
    ),
    "symlink with a slash behind its name": lambda to: inside(
        f"test $(readlink /l) = {to}", (symlink("l/", to),)
    ),
}


_TERMINAL = "\x1b]0;evil\x07\x1b[2J\r\n\x9b31m\u202e\udcff"
_ODD_NAMES: dict[str, AttackMaker] = {
    "escapes in a name that is refused": lambda _: refused(
        "leaves the rootfs", (file(f"../{_TERMINAL}"),)
    ),
    "escapes in a hard link": lambda _: refused(
        "its target is in no layer", (hardlink(_TERMINAL, f"d/{_TERMINAL}"),)
    ),
    "escapes in a parent that is a file": lambda _: refused(
        "not a directory", (file(_TERMINAL), file(f"{_TERMINAL}/x"))
    ),
    "names of any bytes": lambda _: inside(
        "test $(ls /odd | wc -l) -ge 11",
        tuple(file(f"odd/{name}", EVIL) for name in (
            "case", "Case", "CASE", "\u00e9", "e\u0301", "\udcff\udcfe", "'\"`$(touch x)", "-rf",
            " ", "\\", "*", "#1", "work", "index")),
    ),
}  # fmt: skip

NAMES: dict[str, AttackMaker] = {**_PLAIN, **_ODD_NAMES}
