"""Run scripts as the real root, the way the virtual machine of dockerTools does; in a guest.

    real_root.py WORK BASE SCRIPT...

BASE is a docker-archive, WORK a directory on ext4. For each script there is a line of JSON: its
status and what it said. Its layers, with owners dropped and kept, are left in WORK. Known defects
of that way are corrected: opaque directories of the base, stubs of mount points, devices that are
taken for whiteouts.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from packer import Packer, Tree, tree  # beside it in the guest

_ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root"
    " LOGNAME=root TMPDIR=/tmp LANG=C SOURCE_DATE_EPOCH=1 container=rootrun"
)
_SCRIPT = "/dev/shm/script"
_TIMEOUT_S = 1200
_SAID_CHARACTERS = 2000

# $1 is the root, the rest is the command. The script must not be pid 1.
_INSIDE = """
set -e
umask 022
root=$1
shift
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
if [ -d /luggage/repository ]; then
    mount --bind /luggage/repository "$root/repo"
fi
hostname rootrun
ip link set lo up
status=0
setpriv --clear-groups chroot "$root" "$@" < /dev/null || status=$?
exit "$status"
"""
_UNSHARE = ("unshare", "-imnpuf", "sh", "-c", _INSIDE, "sh")


def main(work: Path, base: Path, scripts: list[Path]) -> None:
    """Unpack ``base`` and run ``scripts``, each on a fresh root."""
    lower = _unpacked(base, work)
    view = work / "before"
    _mount(view, f"lowerdir={lower}", read_only=True)
    before = tree(str(view))
    for script in scripts:
        print(json.dumps(_run(script, lower=lower, before=before, work=work)), flush=True)
    subprocess.run(["umount", view], check=True)


def _run(script: Path, *, lower: str, before: Tree, work: Path) -> dict[str, object]:
    place = work / script.stem
    root = place / "root"
    for name in ("upper", "work", "root"):
        (place / name).mkdir(parents=True)
    _mount(root, f"lowerdir={lower},upperdir={place}/upper,workdir={place}/work")
    Path(_SCRIPT).write_bytes(script.read_bytes())
    Path(_SCRIPT).chmod(0o755)
    has_shebang = script.read_bytes().startswith(b"#!")
    command = [_SCRIPT] if has_shebang else ["/bin/sh", "-e", _SCRIPT]
    done = subprocess.run(
        [*_UNSHARE, str(root), "env", "-i", *_ENVIRONMENT.split(), *command],
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    after = tree(str(root))
    for owner in ("root", "keep"):
        with (work / f"{script.stem}.{owner}.tar").open("wb") as target:
            Packer(before, after, keeps_owners=owner == "keep", to=target).pack()
    subprocess.run(["umount", root], check=True)
    shutil.rmtree(place)
    said = (done.stdout + done.stderr).decode(errors="replace")
    return {"script": script.stem, "status": done.returncode, "said": said[-_SAID_CHARACTERS:]}


def _mount(target: Path, options: str, *, read_only: bool = False) -> None:
    target.mkdir(exist_ok=True)
    mode = "ro" if read_only else "rw"
    subprocess.run(
        ["mount", "-t", "overlay", "-o", f"{mode},{options}", "overlay", target], check=True
    )


def _unpacked(base: Path, work: Path) -> str:
    """Unpack each layer into its own directory, and return them for ``lowerdir``."""
    with tarfile.open(base) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        names = json.load(manifest)[0]["Layers"]
        lower = [work / "stubs"]
        for name in ("dev", "proc", "sys", "repo"):
            (lower[0] / name).mkdir(parents=True)
        for number, name in enumerate(names):
            layer = archive.extractfile(name)
            assert layer is not None
            directory = work / f"layer{number}"
            directory.mkdir()
            tar = ["tar", "-C", str(directory), "--numeric-owner", "--xattrs", "--xattrs-include=*"]
            with subprocess.Popen([*tar, "-xpf", "-"], stdin=subprocess.PIPE) as unpacking:
                assert unpacking.stdin is not None
                shutil.copyfileobj(layer, unpacking.stdin, 1 << 20)
            assert unpacking.returncode == 0, name
            _translate_markers(directory)
            lower.insert(0, directory)
    return ":".join(map(str, lower))


def _translate_markers(directory: Path) -> None:
    for above, _, names in os.walk(os.fsencode(directory)):
        for name in names:
            if name.startswith(b".wh."):
                os.unlink(above + b"/" + name)
                if name == b".wh..wh..opq":
                    os.setxattr(above, "trusted.overlay.opaque", b"y")
                else:
                    os.mknod(above + b"/" + name[4:], 0o020000, os.makedev(0, 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
