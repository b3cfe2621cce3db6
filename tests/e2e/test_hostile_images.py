"""Images that attack the one who reads them, through the program: one line, 125, nothing left."""

import gzip
import json
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from tests.e2e.test_bad_input import refused
from tests.support.images import docker_archive, docker_members, dumped, image_content, outer_tar
from tests.support.tarball import file, hardlink, padded, symlink, tarball
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns

SECRET = "of the host alone"


def _config(**changes: object) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        return docker_archive(path, [busybox_layer()], image=changes)

    return write


def _manifest(content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        members = docker_members(image_content([busybox_layer()])) | {"manifest.json": content}
        path.write_bytes(outer_tar(members))
        return path

    return write


def _layer(content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        return docker_archive(path, [busybox_layer(), content])

    return write


def _pax(records: bytes) -> bytes:
    header = file("x", records).header
    header.type = b"x"
    return header.tobuf() + padded(records)


HOSTILE = {
    "deep manifest": (_manifest(b"[" * 500_000), "nested too deeply"),
    "64 MiB of manifest": (_manifest(b"[" + b" " * (64 << 20) + b"]"), "more than 1048576"),
    "key twice": (_manifest(b'[{"Config":"a","Config":"b"}]'), "a key twice in one object"),
    "number of a million digits": (_manifest(b"[" + b"9" * 1_000_000 + b"]"), "not JSON"),
    "no number": (_manifest(b"[NaN]"), "not JSON"),
    "lone surrogate": (_config(config={"Env": ["A=\ud800"]}), "a lone surrogate"),
    "NUL in the environment": (_config(config={"Env": ["A=\0"]}), "Env: has a NUL"),
    "nameless variable": (_config(config={"Env": ["=x"]}), "Env: a value without a name"),
    "text for an object": (_config(config="x"), "config: want an object, got a string"),
    "number for a step": (_config(history=[5]), "history: want an object, got a number"),
    "record of length 0": (_layer(tarball(_pax(b"0 path=x\n"))), "malformed extended header"),
    "record too long": (_layer(tarball(_pax(b"99999 path=x\n"))), "malformed extended header"),
    "junk behind gzip": (_layer(gzip.compress(tarball(file("x"))) + b"junk"), "gzip data"),
    "wrong checksum": (_layer(b"1" * 512 + bytes(1024)), "checksum is wrong"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_image_is_refused_in_one_line(case: str, workplace: Workplace) -> None:
    write, why = HOSTILE[case]
    base = workplace.own(write(workplace.path / "base.tar"))
    assert why in refused(workplace, "--from", base)


PARTS = ("manifest.json", "Config", "Layers")
WAYS = ("absolute symlink", "climbing symlink", "hard link")


@pytest.mark.parametrize(
    ("part", "way"), [*product(PARTS, WAYS), ("Config", "path"), ("Layers", "path")]
)
def test_member_that_names_a_file_of_the_host_never_reads_it(
    part: str, way: str, workplace: Workplace
) -> None:
    """CVE-2014-9358: what is planted there would be a good image, and a secret."""
    members = docker_members(image_content([busybox_layer()], image={"author": SECRET}))
    (entry,) = json.loads(members["manifest.json"])
    name = {"Config": entry["Config"], "Layers": entry["Layers"][0]}.get(part, part)
    good = members.pop(name)
    assert isinstance(good, bytes)
    planted = os.fspath(workplace.write("planted", good))
    climbing = "../" * 20 + planted.lstrip("/")
    made = {
        "absolute symlink": symlink(name, planted),
        "climbing symlink": symlink(name, climbing),
        "hard link": hardlink(name, planted),
        "path": file("unused"),
    }
    if way == "path":
        value = [climbing] if part == "Layers" else climbing
        members["manifest.json"] = dumped([entry | {part: value}])
    others = [file(other, content) for other, content in members.items() if type(content) is bytes]
    base = workplace.write("base.tar", tarball(made[way], *others))
    line = refused(workplace, "--from", base)
    assert "missing" in line
    assert SECRET not in line


def test_layout_whose_index_is_a_file_of_the_host_quotes_nothing_of_it(
    workplace: Workplace,
) -> None:
    layout = workplace.path / "layout"
    layout.mkdir()
    workplace.write("secret", f"root:{SECRET}:0:0\n")
    for name in ("oci-layout", "index.json"):
        (layout / name).symlink_to("../secret")
    line = refused(workplace, "--from", f"oci:{layout}")
    assert "not JSON" in line
    assert SECRET not in line
    assert "root" not in line.partition("oci-layout")[2]
