"""What guests are booted with, as far as it needs no guest: the initramfs and its modules."""

import shutil
import subprocess
from pathlib import Path

from tests.support.require import require
from vmtests.cpio import Cpio
from vmtests.modules import in_load_order, module_paths, needs


def _module(*depends: str, soft: str = "") -> bytes:
    info = [b"license=GPL", b"depends=" + ",".join(depends).encode()]
    if soft:
        info.append(b"softdep=pre: " + soft.encode())
    return b"\x7fELF\0" + b"\0".join(info) + b"\0name=x\0"


def test_another_program_unpacks_our_archive(tmp_path: Path) -> None:
    busybox = shutil.which("busybox")
    require(busybox is not None, "busybox is not installed")
    archive = Cpio()
    archive.directory("bin")
    archive.file("bin/odd-length", b"12345", mode=0o755)
    archive.symlink("bin/sh", "odd-length")
    archive.file("empty", b"")
    content = archive.finished()
    subprocess.run([busybox or "", "cpio", "-i"], input=content, cwd=tmp_path, check=True)
    assert (tmp_path / "bin/sh").read_bytes() == b"12345"
    assert (tmp_path / "bin/odd-length").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "empty").read_bytes() == b""
    assert len(content) % 512 == 0


def test_a_module_names_what_it_needs() -> None:
    assert needs(_module("virtio", "virtio-ring", soft="crc32c post: other")) == [
        *("crc32c", "other", "virtio", "virtio_ring")
    ]
    assert needs(_module()) == []


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    tree = tmp_path / "lib/modules/6/kernel/fs"
    tree.mkdir(parents=True)
    (tree / "top.ko").write_bytes(_module("middle-one", "built_in"))
    (tree / "middle-one.ko").write_bytes(_module("low"))
    (tree / "low.ko").write_bytes(_module("top"))  # a circle must not hang
    (tree / "unused.ko").write_bytes(_module())
    order = in_load_order(["top", "low", "absent"], module_paths(tmp_path))
    assert [module.name for module in order] == ["low", "middle_one", "top"]
