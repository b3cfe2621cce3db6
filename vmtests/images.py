"""What a guest boots: kernels and root file systems of Debian, and our own initramfs.

All of it is made once, below ``place.CACHE``. Kernels are the ones that the suites call their
newest for clouds, so that their versions stand nowhere here.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vmtests.apt import download, source_line
from vmtests.cpio import Cpio
from vmtests.modules import in_load_order, module_paths
from vmtests.place import CACHE, GUEST, MissingPieceError, cache_locked, needed_program

_META_PACKAGE = "linux-image-cloud-amd64"
_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_console", "virtio_rng"),
    *("squashfs", "overlay", "fuse"),
    *("veth", "bridge", "sch_netem", "sch_tbf", "af_packet"),  # networks of machines
)
_LONGEST_BUILD_S = 900

KERNELS = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
"""The kernel of each suite of Debian."""

# What rootrun imports, what it calls, and what the tests look with.
_TOOLS = (
    *("python3", "python3-prctl", "python3-psutil", "uidmap", "busybox-static"),
    *("attr", "libcap2-bin", "procps", "e2fsprogs", "iproute2", "zstd"),
)
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel that can be booted."""

    name: str  # as in KERNELS
    image: Path  # vmlinuz
    initrd: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Rootfs:
    """The recipe of a root file system: a minimal Debian and some packages.

    Each has the users ``tester``, with subordinate ids, and ``lone``, with none.
    """

    name: str
    suite: str
    packages: tuple[str, ...] = ()


BASIC = Rootfs(name="basic", suite="bookworm", packages=_TOOLS)
CONTAINERS = Rootfs(
    name="containers", suite="bookworm", packages=(*_TOOLS, "podman", "crun", "fuse-overlayfs")
)
DOCKER = Rootfs(name="docker", suite="bookworm", packages=(*_TOOLS, "docker.io", "skopeo", "umoci"))
APPARMOR = Rootfs(name="apparmor", suite="trixie", packages=(*_TOOLS, "apparmor"))
NIX = Rootfs(name="nix", suite="trixie", packages=(*_TOOLS, "nix-bin"))
ROOT_FILE_SYSTEMS = (BASIC, CONTAINERS, DOCKER, APPARMOR, NIX)


def kernel(name: str) -> Kernel:
    """Return the kernel ``name`` of KERNELS, downloaded if it was not before.

    Raises MissingPieceError with the reason where it cannot be had.
    """
    with cache_locked():
        tree = _kernel_tree(KERNELS[name])
        initrd = _initrd(tree)
    return Kernel(name=name, image=tree / "vmlinuz", initrd=initrd)


def rootfs(recipe: Rootfs) -> Path:
    """Return the squashfs of ``recipe``, made if it was not before."""
    with cache_locked():
        return _squashfs(recipe)


def empty_disk(path: Path, *, size: str, files: Path | None = None) -> Path:
    """Make ``path`` an ext4 of ``size``, sparse."""
    mke2fs = needed_program("mke2fs", "e2fsprogs")
    contents = ("-d", os.fspath(files)) if files else ()
    _run([mke2fs, "-q", "-F", "-t", "ext4", *contents, os.fspath(path), size])
    return path


@cache
def _kernel_tree(suite: str) -> Path:
    chosen = hashlib.sha256("\0".join(_MODULES).encode()).hexdigest()[:8]
    tree = CACHE / f"kernel-{suite}-{chosen}"
    if tree.exists():
        return tree
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        unfinished = Path(temporary)
        archive = download(_META_PACKAGE, suite=suite, into=unfinished)
        _run([needed_program("dpkg-deb", "dpkg"), "-x", os.fspath(archive), temporary])
        (image,) = (unfinished / "boot").glob("vmlinuz-*")
        kept = unfinished / "kept"
        (kept / "modules").mkdir(parents=True)
        modules = in_load_order(_MODULES, module_paths(unfinished))
        for module in modules:
            (kept / "modules" / f"{module.name}.ko").write_bytes(module.content)
        (kept / "modules" / "order").write_text("".join(f"{m.name}.ko\n" for m in modules))
        image.rename(kept / "vmlinuz")
        kept.rename(tree)
    return tree


def _initrd(tree: Path) -> Path:
    archive = Cpio()
    for name in ("bin", "dev", "proc", "sys", "lower", "upper", "newroot", "modules"):
        archive.directory(name)
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3)
    busybox = Path(needed_program("busybox", "busybox-static"))
    archive.file("bin/busybox", busybox.read_bytes(), mode=0o755)
    archive.symlink("bin/sh", "busybox")
    archive.file("init", (GUEST / "init.sh").read_bytes(), mode=0o755)
    archive.file("agent.sh", (GUEST / "agent.sh").read_bytes())
    for path in sorted((tree / "modules").iterdir()):
        archive.file(f"modules/{path.name}", path.read_bytes())
    content = archive.finished()
    initrd = tree / f"initrd-{hashlib.sha256(content).hexdigest()[:8]}"
    if not initrd.exists():
        unfinished = tree / ".initrd"
        unfinished.write_bytes(content)
        unfinished.rename(initrd)
    return initrd


def _squashfs(recipe: Rootfs) -> Path:
    options = _rootfs_options(recipe)
    digest = hashlib.sha256("\0".join([recipe.suite, *options]).encode()).hexdigest()[:8]
    path = CACHE / f"rootfs-{recipe.name}-{digest}.sqfs"
    if path.exists():
        return path
    mmdebstrap = needed_program("mmdebstrap", "mmdebstrap")
    sqfstar = needed_program("sqfstar", "squashfs-tools")
    unfinished = CACHE / f".rootfs-{recipe.name}.sqfs"
    unfinished.unlink(missing_ok=True)
    argv = [mmdebstrap, *options, recipe.suite, "-", source_line(recipe.suite)]
    with tempfile.TemporaryFile() as said:
        made = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=said)
        packed = [sqfstar, "-quiet", "-no-progress", "-comp", "lz4", os.fspath(unfinished)]
        try:
            subprocess.run(packed, stdin=made.stdout, stdout=said, stderr=said, check=False)
        finally:
            if made.wait(_LONGEST_BUILD_S) or not unfinished.exists():
                said.seek(0)
                last = said.read().decode(errors="replace").strip().rpartition("\n")[2]
                raise MissingPieceError(f"root file system {recipe.name}: {last}")
    unfinished.rename(path)
    return path


def _rootfs_options(recipe: Rootfs) -> Sequence[str]:
    return [
        "--quiet",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(recipe.packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f'--customize-hook=chroot "$1" {command}' for command in _ACCOUNTS),
    ]


# useradd gives ranges to those that are no system accounts.
_ACCOUNTS = (
    "useradd --create-home --uid 1000 --shell /bin/sh tester",
    "useradd --system --create-home --uid 999 --user-group --shell /bin/sh lone",
)


def _run(argv: Iterable[str]) -> None:
    done = subprocess.run(
        list(argv), capture_output=True, text=True, timeout=_LONGEST_BUILD_S, check=False
    )
    if done.returncode:
        raise MissingPieceError(f"{next(iter(argv))}: {done.stderr.strip()}")
