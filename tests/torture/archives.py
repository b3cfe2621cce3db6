"""Hostile and odd archives of our own making: names x kinds x ways, damaged and cut ones."""

import json
import os
import random
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rootrun.errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND
from tests.support.attacks import ATTACKS
from tests.support.images import (
    compressed,
    docker_members,
    dumped,
    image_content,
    oci_members,
    outer_tar,
)
from tests.support.odd_documents import put_odd_value
from tests.support.removers import becomes_empty
from tests.support.tarball import (
    Member,
    device,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    tarball,
    whiteout,
)
from tests.support.unpacking import SECRET as _SECRET
from tests.support.unpacking import plant_victims, surroundings
from tests.support.workplace import busybox_layer
from tests.torture.ground import HANGS_AFTER_S, Ground

_DEPTH = "../" * 20

_CLIMBING = (
    "../outside/made", "a/../../outside/made", "/../outside/made", "..", "a/..", "./../x",
    "a/b/../c",
)  # fmt: skip
_ODD = (
    "", "/", ".", "./", "//", "/absolute", "./dotted", "a//b///c", "new\nline", "quote'\"`$(x)",
    "\x1b[2J", "back\\slash", "colon:comma,", "n" * 255, "n" * 256, "d/" * 1900 + "f",
    "\udcff\udcfe", "e\u0301", "\u00e9", "Case", "case", " ", "-rf", "~", ".wh.", ".wh..", ".wh...",
    ".wh..wh.", ".wh..wh.plnk", ".wh..wh..opq", "d/.wh..wh..opq/f", ".wh.a/b", ".wh.bin",
)  # fmt: skip
_MOUNT_POINTS = ("proc", "dev", "sys", "dev/null", "dev/shm", "proc/self/exe", "dev/fd/1/x")

_Make = Callable[[str, str], Member]  # of a name and an absolute path outside
_KINDS: dict[str, _Make] = {
    "file": lambda name, _: file(name, b"evil", 0o4777, uid=5),
    "directory": lambda name, _: directory(name, 0o777, mtime=5),
    "symlink": symlink,
    "symlink that climbs": lambda name, outside: symlink(name, _DEPTH + outside.lstrip("/")),
    "hard link": hardlink,
    "hard link that climbs": lambda name, _: hardlink(name, "../outside/secret"),
    "fifo": lambda name, _: fifo(name),
    "device": lambda name, _: device(name, 1, 3),
    "overlay's whiteout": lambda name, _: device(name, 0, 0),
    "whiteout": lambda name, _: whiteout(name),
    "opaque": lambda name, _: opaque(name),
    "overlay's xattr": lambda name, outside: directory(
        name, xattrs={"user.overlay.redirect": outside.encode(), "user.overlay.opaque": b"y"}
    ),
}
_PAX_RECORDS = (
    b"", b"0 \n", b"5 a=b", b"99 path=x\n", b"x path=x\n", b"-1 path=x\n", b"11 path=a\0b\n",
    b"13 size=-1\n\n", b"20 size=99999999999\n", b"30 mtime=1e400\n" + bytes(14), b"12 uid=nan\n\n",
    b"9" * 5000 + b" path=x\n", b"28 path=../../outside/made\n", b"25 linkpath=/etc/shadow\n",
    b"17 hdrcharset=x\n", b"22 GNU.sparse.major=1\n", b"34 GNU.sparse.map=0,9,1,99999999999\n",
    b"30 SCHILY.xattr.user.x=\xff\xfe\n",
)  # fmt: skip


class HostileImage(NamedTuple):
    """An image archive, and what is wrong with it."""

    told: str
    content: bytes


def hostile_images(outside: Path, *, seed: int) -> Iterator[HostileImage]:
    """Yield archives that try to reach ``outside``, and damaged ones; ``seed`` is of the damage."""
    for told, layers in _hostile_layers(str(outside)):
        yield HostileImage(told, _archive(busybox_layer(), *layers))
    for told, attack in ATTACKS.items():
        yield HostileImage(told, _archive(busybox_layer(), *attack(str(outside)).layers))
    yield from _damaged_archives(random.Random(seed))
    yield from _damaged_documents(random.Random(seed))


def _hostile_layers(outside: str) -> Iterator[tuple[str, list[bytes]]]:
    for kind, make in _KINDS.items():
        for name in (*_CLIMBING, *_ODD, *_MOUNT_POINTS):
            yield f"{kind} {name[:30]!r}", [tarball(file("a"), make(name, outside))]
        for way in (outside, _DEPTH + outside.lstrip("/"), "../outside"):
            link, entry = symlink("l", way), make("l/secret", outside)
            deeper = make("l/directory/kept", outside)
            yield f"{kind} through a symlink", [tarball(link, entry, deeper)]
            yield f"{kind} through a symlink below", [tarball(link), tarball(entry, deeper)]
            yield f"{kind} in place of a symlink", [tarball(link, make("l", outside))]
        yield f"{kind} twice", [tarball(make("x", outside), make("x", outside), file("x/y"))]
    for records in _PAX_RECORDS:
        header = tarfile.TarInfo("pax")
        header.type, header.size = tarfile.XHDTYPE, len(records)
        pax = Member(header, records)
        yield f"PAX {records[:30]!r}", [tarball(pax, file("x"), tar_format=tarfile.USTAR_FORMAT)]
        pax.header.type = tarfile.XGLTYPE
        yield f"global {records[:30]!r}", [tarball(pax, file("x"), tar_format=tarfile.USTAR_FORMAT)]


def _archive(*layers: bytes) -> bytes:
    return outer_tar(docker_members(image_content(layers)))


def _damaged_archives(chooser: random.Random) -> Iterator[HostileImage]:
    good = _archive(busybox_layer(), tarball(file("x", b"content")))
    for compression in ("none", "gzip", "zstd", "bzip2", "xz"):
        whole = compressed(good, compression)
        for _ in range(10):
            end = chooser.randrange(len(whole))
            yield HostileImage(f"{compression} cut at {end}", whole[:end])
        for _ in range(10):
            damaged = bytearray(whole)
            for place in [chooser.randrange(len(whole)) for _ in range(chooser.choice((1, 50)))]:
                damaged[place] = chooser.randrange(256)
            yield HostileImage(f"{compression} garbled", bytes(damaged))
    headers = [place for place in range(0, len(good), 512) if good[place + 257 :][:5] == b"ustar"]
    for _ in range(60):
        damaged = bytearray(good)
        start = chooser.choice(headers)
        for place in [chooser.randrange(512) for _ in range(chooser.choice((1, 4)))]:
            damaged[start + place] = chooser.randrange(256)
        header = damaged[start : start + 512]
        header[148:156] = b" " * 8
        damaged[start + 148 : start + 156] = b"%06o\0 " % sum(header)
        yield HostileImage(f"header at {start} garbled, its checksum right", bytes(damaged))


def _damaged_documents(chooser: random.Random) -> Iterator[HostileImage]:
    content = image_content([busybox_layer()])
    dialects: list[dict[str, bytes | str]] = [docker_members(content), {**oci_members(content)}]
    for members in dialects:
        documents = [name for name, text in members.items() if str(text)[2:3] in ("{", "[")]
        for _ in range(60):
            name = chooser.choice(documents)
            document = json.loads(members[name])
            put_odd_value(document, chooser)
            text = dumped(document)
            yield HostileImage(f"{name}: {text[:200]!r}", outer_tar({**members, name: text}))
    deep = docker_members(content)
    for text in (b"[" * 200_000, b'{"a":' * 200_000, b"9" * 100_000, b'[{"Config":NaN}]', b"\xff"):
        yield HostileImage(f"manifest {text[:9]!r}", outer_tar({**deep, "manifest.json": text}))


def wrongs_of_archives(ground: Ground, *, seed: int, count: int | None) -> Iterator[list[str]]:
    """Run rootrun on ``count`` of the hostile images (None: all); yield what is wrong after each.

    Right is to work or to tell one error, soon, and to touch or give away nothing outside.
    """
    canary = ground.path / "canary"
    canary.mkdir()
    outside = plant_victims(canary)
    for path in (canary, outside, *outside.rglob("*")):
        os.chown(path, ground.account.uid, ground.account.gid, follow_symlinks=False)
    before = surroundings(canary)
    images = list(hostile_images(outside, seed=seed))
    if count is not None:
        images = random.Random(seed).sample(images, min(count, len(images)))
    for image in images:
        (ground.path / "base.tar").write_bytes(image.content)
        wrongs = _wrongs_of(replace(ground, right=None))
        if surroundings(canary) != before:
            wrongs.append("it reaches outside")
        ground.make_cold()
        yield [f"{image.told}: {wrong}" for wrong in wrongs]


def _wrongs_of(ground: Ground) -> list[str]:
    with ground.start() as process:
        try:
            _, errors = process.communicate(timeout=HANGS_AFTER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return ["it hangs"]
    # The image may have replaced the shell.
    others = (EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND)
    wrongs = ground.wrongs_of_end(process.returncode, errors.decode(), others=others)
    if "\x1b" in errors.decode():
        wrongs.append("it writes to the terminal what the image says")
    if process.returncode == 0 and _SECRET in ground.output.read_bytes():
        wrongs.append("it gives away what is outside")
    if not becomes_empty(ground.scratch):
        wrongs.append(f"scratch is left: {os.listdir(ground.scratch)}")
    ground.output.unlink(missing_ok=True)
    return [*wrongs, *ground.wrongs_left()]
