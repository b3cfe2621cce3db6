"""List the top layer of a docker-archive, as ``tar -tv`` does.

python examples/show_layer.py build/demo.tar
"""

import json
import stat
import sys
import tarfile

_FORMATS = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


def main(path: str) -> None:
    """Print the entries of the last layer of the image at ``path``."""
    with tarfile.open(path) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        name = json.load(manifest)[0]["Layers"][-1]
        with tarfile.open(fileobj=image.extractfile(name)) as layer:
            for entry in layer:
                print(_line(entry))


def _line(entry: tarfile.TarInfo) -> str:
    mode = stat.filemode(entry.mode | _FORMATS.get(entry.type, 0))
    target = f" -> {entry.linkname}" if entry.linkname else ""
    return f"{mode} {entry.uid}:{entry.gid} {entry.size:>8} {entry.name}{target}"


if __name__ == "__main__":
    main(sys.argv[1])
