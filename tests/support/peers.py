"""Other people's tools, as witnesses of what rootrun writes."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.require import require_program


def skopeo_inspect(reference: str, *, config: bool = False) -> dict[str, object]:
    """Return what ``skopeo inspect`` says of an image, or its configuration."""
    options = ["--config"] if config else []
    argv = [os.fspath(require_program("skopeo")), "inspect", *options, reference]
    found = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    assert isinstance(found, dict)
    return found


def skopeo_copy(source: str, target: str, *options: str) -> None:
    """Copy an image with skopeo, which verifies every digest on the way."""
    subprocess.run(
        [require_program("skopeo"), "copy", "--quiet", *options, source, target], check=True
    )


@contextmanager
def unpacked_by_umoci(archive: Path, directory: Path) -> Iterator[Path]:
    """Unpack an image with umoci below ``directory``; the value is its rootfs."""
    umoci = require_program("umoci")
    layout, bundle = directory / "for-umoci", directory / "bundle"
    skopeo_copy(f"docker-archive:{archive}", f"oci:{layout}:image")
    subprocess.run([umoci, "unpack", "--image", f"{layout}:image", bundle], check=True)
    try:
        yield bundle / "rootfs"
    finally:
        subprocess.run(["rm", "-rf", layout, bundle], check=True)


def run_in_rootfs(rootfs: Path, *argv: str) -> bytes:
    """Run a program in an unpacked root and return its output."""
    done = subprocess.run(
        ["chroot", rootfs, *argv],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        check=True,
    )
    return done.stdout


def podman_load(archive: Path) -> list[str]:
    """Load an archive into a fresh podman storage and return the names it then has."""
    podman = os.fspath(require_program("podman"))
    # Not pytest's directory: podman refuses a runroot of more than 50 characters.
    with tempfile.TemporaryDirectory(prefix="rrp-") as directory:
        storage = [f"--root={directory}/s", f"--runroot={directory}/r"]
        argv = [podman, "--storage-driver=vfs", *storage]
        env = {**os.environ, "TMPDIR": directory}
        load = [*argv, "load", "-q", "-i", os.fspath(archive)]
        subprocess.run(load, check=True, capture_output=True, env=env)
        images = subprocess.run(
            [*argv, "images", "--format", "{{.Repository}}:{{.Tag}}"],
            check=True,
            capture_output=True,
            env=env,
        )
        remove = [*argv, "rmi", "--all", "--force"]
        subprocess.run(remove, check=True, capture_output=True, env=env)
        return images.stdout.decode().split()
