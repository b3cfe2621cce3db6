"""Write a small base image, out of what this machine has: nothing is downloaded.

    python examples/make_base.py build/base.tar

The image holds the static busybox, if there is one, else /bin/sh and a few
commands with the libraries that ldd(1) names.
"""

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

_COMMANDS = ("cat", "chmod", "cp", "id", "ln", "ls", "mkdir", "mv", "rm", "touch")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386"}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/motd": "This file is in the base.\n",
}


def main(target: Path) -> None:
    """Write the image to ``target``."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add_tree(tar)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, mode="w") as image:
        _add_image(image, layer.getvalue())


def _add_tree(tar: tarfile.TarFile) -> None:
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp"):
        _add(tar, name, kind=tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755)
    for name, text in _FILES.items():
        _add(tar, name, content=text.encode())
    busybox = _static_busybox()
    if busybox:
        _add(tar, "bin/busybox", content=busybox.read_bytes(), mode=0o755)
        applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
        for applet in applets.stdout.split():
            if applet != "busybox":
                _add(tar, f"bin/{applet}", kind=tarfile.SYMTYPE, mode=0o777, link="busybox")
    else:
        for path, source in sorted(_own_programs()):
            _add(tar, path, content=source.read_bytes(), mode=0o755)


def _static_busybox() -> Path | None:
    found = shutil.which("busybox")
    # A dynamic one names its interpreter near its start; a static one has none.
    return Path(found) if found and b"ld-linux" not in Path(found).read_bytes()[:4096] else None


def _own_programs() -> Iterator[tuple[str, Path]]:
    """Yield this machine's own shell and commands, and the libraries that they are linked with."""
    libraries: set[str] = set()
    for name in ("sh", *_COMMANDS):
        found = shutil.which(name)
        if found:
            yield f"bin/{name}", Path(found)
            listing = subprocess.run(["ldd", found], capture_output=True, text=True, check=False)
            libraries.update(re.findall(r"(/\S+) \(0x", listing.stdout))
    for library in libraries:
        yield library.lstrip("/"), Path(library)


def _add_image(image: tarfile.TarFile, layer: bytes) -> None:
    diff_id = hashlib.sha256(layer).hexdigest()
    machine = platform.machine()
    config = json.dumps(
        {
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "created": "1970-01-01T00:00:01Z",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
            "history": [{"created": "1970-01-01T00:00:01Z", "created_by": "examples/make_base.py"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{diff_id}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": ["base:latest"], "Layers": [layer_name]}]
    _add(image, layer_name, content=layer)
    _add(image, config_name, content=config)
    _add(image, "manifest.json", content=json.dumps(manifest).encode())


def _add(
    tar: tarfile.TarFile,
    name: str,
    *,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    link: str = "",
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.linkname = kind, mode, link
    entry.mtime, entry.uname, entry.gname = 1, "root", "root"
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} TARGET")
    main(Path(sys.argv[1]))
