"""Base images to measure with: a busybox, a Debian, and one of 850 MB in three layers.

They are made once, in build/, and named after what they hold.
"""

import hashlib
import io
import json
import os
import platform
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from tests.support.debian import debian_rootfs
from tests.support.tarball import Member, directory, file, padded, symlink, whiteout

Packing = Literal["plain", "gzip", "zstd"]
PACKINGS: tuple[Packing, ...] = ("plain", "gzip", "zstd")

_FORMAT = 1  # counted up when what is made below changes
_BUILD = Path(__file__).parent.parent / "build"
_PACKERS: Mapping[Packing, Sequence[str]] = {
    "plain": ("cat",),
    "gzip": ("gzip", "-6n"),
    "zstd": ("zstd", "-q"),
}
_APPLETS = """
awk basename cat chmod chown cp cut date dd df dirname echo env expr find grep head id ln ls
mkdir mktemp mv printf ps rm rmdir sed seq sh sleep sort tail tar test touch tr true wc xargs yes
"""
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"
_GROUP = b"root:x:0:\n"
_FILES_IN_DIRECTORY = 200
_WORDS_BYTES = 256 << 10


class Base(NamedTuple):
    """An image to measure with; ``layers`` yield their members, bottom first."""

    name: str
    layers: tuple[Callable[[], Iterator[Member]] | Path, ...]
    has_apt: bool = False


def small_base() -> Base:
    """Return a base of about 2 MB: a busybox and 600 small files."""
    return Base("small", (_busybox,))


def debian_base() -> Base:
    """Return a minimal Debian, about 170 MB in one layer; needs root and mmdebstrap."""
    return Base("debian", (debian_rootfs(),), has_apt=True)


def large_base() -> Base:
    """Return a Debian and 60,000 files over it, some deleted again: 850 MB in three layers."""
    return Base("large", (debian_rootfs(), _second_layer, _third_layer), has_apt=True)


def docker_archive_of(base: Base, packing: Packing) -> Path:
    """Return the docker-archive of ``base``, whose layers are compressed one by one."""
    place = _BUILD / f"benchmark-bases-{_FORMAT}"
    place.mkdir(parents=True, exist_ok=True)
    archive = place / f"{base.name}-{packing}.tar"
    if not archive.exists():
        with _unfinished(place) as work:
            made = [
                _write_layer(layer, work / f"{number}.tar", packing)
                for number, layer in enumerate(base.layers, start=1)
            ]
            _write_archive(work / "archive.tar", made)
            (work / "archive.tar").rename(archive)
    return archive


def _busybox() -> Iterator[Member]:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise SystemExit("bench: busybox is not installed: make peers installs it")
    yield directory("bin")
    yield file("bin/busybox", Path(busybox).read_bytes(), mode=0o755)
    for applet in _APPLETS.split():
        yield symlink(f"bin/{applet}", "busybox")
    yield directory("etc")
    yield file("etc/passwd", _PASSWD)
    yield file("etc/group", _GROUP)
    # Where others mount something.
    yield from (directory(name) for name in ("dev", "proc", "sys", "home", "root", "repo"))
    yield directory("tmp", mode=0o1777)
    yield from _many_files("usr/share/doc", 600, size_bytes=512)


def _second_layer() -> Iterator[Member]:
    yield directory("srv")
    yield from _many_files("srv/some", 20_000, size_bytes=16 << 10)


def _third_layer() -> Iterator[Member]:
    """Yield 40,000 files, and whiteouts of files and directories in both layers below."""
    yield directory("srv")
    yield from _many_files("srv/many", 40_000, size_bytes=8 << 10)
    for number in range(0, 2000, 2):
        yield whiteout(f"srv/some/{number // _FILES_IN_DIRECTORY}/{number}")
    for number in range(20, 25):
        yield whiteout(f"srv/some/{number}")
    yield whiteout("usr/share/zoneinfo")


def _many_files(parent: str, count: int, *, size_bytes: int) -> Iterator[Member]:
    """Yield files in directories of 200; their content compresses as programs do, to half."""
    source = random.Random(parent)
    alphabet = [source.randbytes(source.randrange(2, 9)) for _ in range(500)]
    words = b" ".join(source.choices(alphabet, k=_WORDS_BYTES // 6))
    half = size_bytes // 2
    yield directory(parent)
    for number in range(count):
        place = f"{parent}/{number // _FILES_IN_DIRECTORY}"
        if number % _FILES_IN_DIRECTORY == 0:
            yield directory(place)
        start = source.randrange(len(words) - half)
        yield file(f"{place}/{number}", source.randbytes(half) + words[start : start + half])


class _Layer(NamedTuple):
    blob: Path
    diff_id: str


def _write_layer(
    layer: Callable[[], Iterator[Member]] | Path, target: Path, packing: Packing
) -> _Layer:
    """Write a layer as a stream: what this process once had in memory counts as its children's."""
    content = hashlib.sha256()
    with target.open("wb") as writer:
        packer = subprocess.Popen(_PACKERS[packing], stdin=subprocess.PIPE, stdout=writer)
        assert packer.stdin is not None
        with packer.stdin as stream:
            for chunk in _chunks(layer):
                content.update(chunk)
                stream.write(chunk)
        if packer.wait():
            raise SystemExit(f"bench: {_PACKERS[packing][0]} failed")
    return _Layer(target, f"sha256:{content.hexdigest()}")


def _chunks(layer: Callable[[], Iterator[Member]] | Path) -> Iterator[bytes]:
    if isinstance(layer, Path):
        with layer.open("rb") as reader:
            while chunk := reader.read(1 << 20):
                yield chunk
        return
    for member in layer():
        yield member.header.tobuf(tarfile.PAX_FORMAT) + padded(member.content)
    yield bytes(1024)


def _write_archive(path: Path, layers: Sequence[_Layer]) -> None:
    """Write an archive as docker save does; what describes the image comes last."""
    config = json.dumps(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created_by": "bench"} for _ in layers],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{layer.diff_id.removeprefix('sha256:')}/layer.tar" for layer in layers]
    manifest = [{"Config": config_name, "RepoTags": ["localhost/bench:1"], "Layers": names}]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, layer in zip(names, layers, strict=True):
            with layer.blob.open("rb") as reader:
                header = tarfile.TarInfo(name)
                header.size = layer.blob.stat().st_size
                tar.addfile(header, reader)
        for name, content in ((config_name, config), ("manifest.json", json.dumps(manifest))):
            data = content if isinstance(content, bytes) else content.encode()
            header = tarfile.TarInfo(name)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))


@contextmanager
def _unfinished(place: Path) -> Iterator[Path]:
    work = place / f".unfinished-{os.getpid()}"
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work)
