"""Programs for a container, of the kinds that a busybox lacks."""

import struct
import subprocess
from pathlib import Path

from tests.support.require import require_program

_SOURCE = Path(__file__).parent / "tracee.c"


def compile_tracee(directory: Path) -> Path:
    """Compile the program of ``tracee.c``, static."""
    program = directory / "tracee"
    flags = ["-static", "-pthread", "-O1", "-Wall", "-Werror"]
    subprocess.run([require_program("gcc"), *flags, "-o", program, _SOURCE], check=True)
    return program


def i386_program(number: int, path: bytes, first: int, second: int) -> bytes:
    """Return a static ELF that makes one call, ``path`` first, and exits with its errno."""
    base, headers = 0x08048000, 52 + 32
    code = struct.pack("<BI", 0xB8, number)  # mov eax
    code += struct.pack("<BI", 0xBB, base + headers + 64)  # mov ebx
    code += struct.pack("<BIBI", 0xB9, first, 0xBA, second)  # mov ecx; mov edx
    code += b"\xcd\x80\x89\xc3\xf7\xdb"  # int 0x80; mov ebx, eax; neg ebx
    code += b"\xb8\x01\0\0\0\xcd\x80"  # exit
    content = code.ljust(64, b"\0") + path + b"\0"
    size = headers + len(content)
    identification = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    entry = (2, 3, 1, base + headers, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    segment = (1, 0, base, base, size, size, 5, 4096)
    return identification + struct.pack("<HHIIIIIHHHHHH8I", *entry, *segment) + content
