"""The corpora that fuzzing starts from: small valid inputs, built as the other tests build them."""

import json
import tarfile
from collections.abc import Iterable, Iterator

from rootrun.layer.entry import EntryPath, EntryType
from rootrun.layer.record import LayerRecord, Recorded
from rootrun.store.step_store import StepRecord
from tests.support.images import (
    JsonObject,
    compressed,
    descriptor,
    docker_members,
    dumped,
    image_content,
    oci_members,
    outer_tar,
)
from tests.support.sparse import format_0, format_1, old_format
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

_COMPRESSIONS = ("gzip", "zstd", "bzip2", "xz")
_LONG = "long" * 40
_TREE = (directory("."), directory("d", mode=0o1777, uid=5), file("d/f", b"content", mode=0o4755))
_ODD = (
    symlink("l", "d"), file("l/x", b"x"), hardlink("h", "d/f"), hardlink("below", "a/b"),
    fifo("p"), device("n", 1, 3), device("b", 8, 0, kind="block"), file("no/such/parent"),
)  # fmt: skip
_MARKERS = (whiteout("a"), opaque("d"), whiteout("d/gone"), directory("a"), file("a/again"))
_EXTENDED = (
    file("x", b"x", xattrs={"user.k": b"v", "security.capability": bytes(20), "user.a=b": b""}),
    directory(_LONG, xattrs={"user.overlay.opaque": b"y"}),
    symlink(f"{_LONG}/{_LONG}", _LONG * 2),
    file("big", b"", uid=1 << 30, gid=1 << 30, mtime=1 << 34, pax={"mtime": "-1.5", "size": "0"}),
)


def layers() -> Iterator[bytes]:
    """Yield layers with an entry of every kind, in each dialect."""
    for members in (_TREE, _ODD, _MARKERS, _EXTENDED, (*_TREE, *_MARKERS), (*_TREE, *_ODD)):
        yield tarball(*members)
    yield tarball(*_TREE, *_ODD, tar_format=tarfile.USTAR_FORMAT)
    yield tarball(*_EXTENDED[1:3], tar_format=tarfile.GNU_FORMAT)
    sparse: Iterable[Member | bytes] = (
        format_0("0,1,600,2", b"abc", size=700),
        format_1([2, 0, 1, 600, 2], b"abc", size=700),
        old_format([(0, 1), (600, 2)], b"abc", size=700),
        old_format([(2 * n, 1) for n in range(6)], b"abcdef", size=12),
    )
    for member in sparse:
        yield tarball(member, hardlink("again", "sparse"))
    header = tarfile.TarInfo.create_pax_global_header({"comment": "global"})
    yield header + tarball(file("after"))


def archives() -> Iterator[bytes]:
    """Yield archives of images in each dialect, whole and compressed."""
    content = image_content([tarball(file("f", b"x")), tarball(whiteout("f"))])
    for style in ("old", "25", "skopeo", "v1-only"):
        yield outer_tar(docker_members(content, style=style))
    yield outer_tar({**oci_members(content)})
    for compression in _COMPRESSIONS:
        packed = image_content([tarball(file("f", b"x"))], compression=compression)
        whole = outer_tar(docker_members(packed))
        yield whole
        yield compressed(whole, compression)


def compressed_contents() -> Iterator[bytes]:
    """Yield streams of each compression: one member, several, none, and with padding."""
    for compression in _COMPRESSIONS:
        for content in (b"", b"x", bytes(range(256)) * 20, bytes(100_000)):
            one = compressed(content, compression)
            yield one
            yield one + compressed(b"second", compression)
        yield one + bytes(8)
    yield b"\x50\x2a\x4d\x18\x04\0\0\0skip" + compressed(b"after a skippable frame", "zstd")


def documents() -> Iterator[bytes]:
    """Yield configurations, manifests and indexes."""
    config: JsonObject = {
        "Env": ["PATH=/bin", "A="], "Cmd": ["sh"], "Entrypoint": None, "User": "app:app",
        "WorkingDir": "/", "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/v": {}}, "StopSignal": "SIGTERM", "Healthcheck": {"Interval": 1e9},
    }  # fmt: skip
    image = {"author": "a", "variant": "v8", "architecture": "arm64", "id": "x"}
    content = image_content([tarball(file("f"))], config=config, image=image)
    empty = image_content([], image={"history": [{"empty_layer": True, "created_by": "x"}]})
    for one in (content, empty):
        yield one.config
        for members in (docker_members(one), oci_members(one)):
            texts = [text for text in members.values() if isinstance(text, bytes)]
            yield from (text for text in texts if text[:1] in (b"{", b"["))
    yield dumped({"schemaVersion": 2, "manifests": [*_entries()]})


def _entries() -> Iterator[JsonObject]:
    yield {**descriptor(b"x", "application/vnd.oci.image.index.v1+json"), "data": "eA=="}
    for architecture in ("amd64", "arm"):
        platform = {"architecture": architecture, "os": "linux", "variant": "v7"}
        entry = descriptor(b"y", "application/vnd.oci.image.manifest.v1+json")
        yield {**entry, "platform": platform, "annotations": {"a": "b"}, "urls": ["http://x"]}


def config_options() -> Iterator[bytes]:
    """Yield values of ``--config``."""
    yield b'{"User":"app","Env":["A=b"],"Cmd":null,"Labels":{"a":"b"},"Memory":1}'
    yield b'{"Volumes":{"/v":{}},"Healthcheck":{"Test":["NONE"]},"Entrypoint":["\\u00fc"]}'
    yield b'{"OnBuild":["x"],"Shell":["sh"],"ExposedPorts":{"80/tcp":{}},"own":[1.5,true,{}]}'


def cache_files() -> Iterator[bytes]:
    """Yield records of layers and steps, marks of boots, and memories of blobs."""
    path = EntryPath
    yield LayerRecord().to_bytes()
    yield LayerRecord(
        entries={
            path("n"): Recorded(EntryType.CHARACTER_DEVICE, 0o644, 1, 2, (1, 3)),
            path("\udcff"): Recorded(EntryType.FILE, 0o4755, 0, 0, (0, 0), {"user.k": b"\xff"}),
        },
        implicit=frozenset({path("")}),
        opaque=frozenset({path("d")}),
        foreign_links={path("h"): path("below")},
        unmarked=frozenset({path("w")}),
        set_ids=frozenset({path("\udcff")}),
        entry_count=3,
        size_bytes=1 << 40,
        checksum=(1 << 64) - 1,
    ).to_bytes()
    yield StepRecord({"the script": "ab"}, "sha256:x", "sha256:y", "gzip", 9, 2, ("a",)).to_bytes()
    yield json.dumps({"boot": "x", "synced": True}).encode()
    yield json.dumps({"stamp": [1, 2, 3, 4, 5, 6], "blobs": [[0, 1, "sha256:x", ""]]}).encode()


def references() -> Iterator[bytes]:
    """Yield names of images, one a line."""
    yield b"docker-archive:base.tar:name:tag\noci:layout:latest\noci-archive:-\nbase.tar\n-"
    yield b"docker://localhost:5000/a/b@sha256:" + b"0" * 64 + b"\ndocker://alpine:3"
    yield b"[::1]:5000/a/b_c__d-e.f\ndocker.io/library/alpine\nalpine:latest\nlinux/arm/v7\namd64"
    yield b"Setup.SH\nbase.tar.gz\ndir:x\n\xff\xfe:\xc3\xbc"
