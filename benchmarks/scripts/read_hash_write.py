"""The least that an image of a store takes: each byte is read, hashed and written once.

Arguments: the directory of the store, the file to write, the number of processes.
"""

import hashlib
import os
import sys
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def main() -> None:
    """Do it: each process has files of about as many bytes, and a part of the output."""
    store, output, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    files = [path for path in store.rglob("*") if path.is_file() and not path.is_symlink()]
    sizes = sorted(((path.stat().st_size, os.fspath(path)) for path in files), reverse=True)
    shares: list[list[tuple[int, str]]] = [[] for _ in range(count)]
    for size, path in sizes:
        min(shares, key=lambda share: sum(size for size, _ in share)).append((size, path))
    target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    offset = 0
    for share in shares:
        if os.fork() == 0:
            _copy(share, target, offset)
            os._exit(0)
        offset += sum(size for size, _ in share)
    for _ in shares:
        os.wait()
    os.fsync(target)


def _copy(share: list[tuple[int, str]], target: int, offset: int) -> None:
    digest = hashlib.sha256()
    for _, path in share:
        source = os.open(path, os.O_RDONLY)
        while content := os.read(source, _CHUNK_BYTES):
            digest.update(content)
            offset += os.pwrite(target, content, offset)
        os.close(source)


main()
