"""Where a thread of another process stands, as far as its memory and its maps tell.

No file is read: the machine says what is where. What a stack holds is searched for addresses that
follow a call: without the notes of the compiler one cannot tell those of calls that are over.
"""

import os
import struct
from bisect import bisect_right

from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.process_memory import read_memory

_SEARCHED_BYTES = 16384
_MOST_FRAMES = 16
_PAGE_BYTES = 4096
_MOST_TABLE_BYTES = 4 << 20
_WORD = struct.Struct("<Q")
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_IDENT_BYTES = 20  # e_ident, e_type, e_machine
_MACHINES = {"x86_64": 62, "aarch64": 183, "riscv64": 243, "loongarch64": 258}  # EM_...
_ELF = b"\x7fELF"
_ELF_64 = b"\x7fELF\x02\x01"  # little-endian
_FIXED = 2  # ET_EXEC
_LOADED, _DYNAMIC = 1, 2  # PT_LOAD, PT_DYNAMIC
_STRINGS, _SYMBOLS, _STRINGS_BYTES = 5, 6, 10  # DT_STRTAB, DT_SYMTAB, DT_STRSZ
_FUNCTIONS = (2, 10)  # STT_FUNC, STT_GNU_IFUNC


class _Map(NamedTuple):
    start: int
    end: int
    is_executable: bool
    offset: int
    path: str


class _Function(NamedTuple):
    start: int
    size: int
    name: str


class AddressSpace:
    """The memory of one process; raises OSError if it may not be looked at."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="backslashreplace") as file:
            self._maps = [_map(line) for line in file]
        self._starts = [one.start for one in self._maps]
        self._bases: dict[str, int] = {}
        for one in self._maps:
            self._bases.setdefault(one.path, one.start)
        self._is_native: bool | None = None
        self._functions: dict[int, list[_Function]] = {}  # by the start of their module

    def place(self, address: int, *, has_path: bool = False) -> str:
        """Return module and offset, and the function where the module names it."""
        found = self._find(address)
        if found is None or not found.path:
            return f"{address:#x}"
        base = self._bases[found.path]
        where = f"{found.path if has_path else os.path.basename(found.path)}+{address - base:#x}"
        for function in self._functions_of(base):
            if function.start <= address < function.start + function.size:
                return f"{function.name} ({where})"
        return where

    def is_native(self) -> bool:
        """Say whether its program is of the architecture of this machine's kernel."""
        if self._is_native is None:
            # Memory without a file may lie below the program.
            idents = (self._read(one.start, _IDENT_BYTES) for one in self._maps if one.path)
            ident = next((one for one in idents if one.startswith(_ELF)), b"")
            machine = _MACHINES.get(os.uname().machine)
            is_of_machine = int.from_bytes(ident[-2:], "little") == machine
            self._is_native = ident.startswith(_ELF_64) and is_of_machine
        return self._is_native

    def return_addresses(self, stack: int) -> list[int]:
        """Return what looks like return addresses above ``stack``, innermost first."""
        found = self._find(stack)
        if found is None or not self.is_native():
            return []
        size = min(_SEARCHED_BYTES, found.end - stack) // _WORD.size * _WORD.size
        addresses: list[int] = []
        for (word,) in _WORD.iter_unpack(self._read(stack, size)):
            if self._follows_call(word):
                addresses.append(word)
                if len(addresses) == _MOST_FRAMES:
                    break
        return addresses

    def _find(self, address: int) -> _Map | None:
        at = bisect_right(self._starts, address) - 1
        return self._maps[at] if at >= 0 and address < self._maps[at].end else None

    def _read(self, address: int, size: int) -> bytes:
        """Return what can be read of that, from its start on."""
        content = b""
        while len(content) < size:
            position = address + len(content)
            wanted = min(size - len(content), _PAGE_BYTES - position % _PAGE_BYTES)
            try:
                content += read_memory(self._pid, position, wanted)
            except OSError:
                break
        return content

    def _follows_call(self, address: int) -> bool:
        found = self._find(address)
        if found is None or not found.is_executable or address - 7 < found.start:
            return False
        before = self._read(address - 7, 7)
        match os.uname().machine if len(before) == 7 else "":
            case "x86_64":
                # CALL rel32, or one of the forms of FF /2.
                return before[-5] == 0xE8 or any(
                    before[-length] == 0xFF and before[1 - length] >> 3 & 7 == 2
                    for length in (2, 3, 4, 6, 7)
                )
            case "aarch64":
                code = int.from_bytes(before[-4:], "little")
                return code & 0xFC000000 == 0x94000000 or code & 0xFFFFFC1F == 0xD63F0000
        return False

    def _functions_of(self, base: int) -> list[_Function]:
        if base not in self._functions:
            try:
                self._functions[base] = self._read_functions(base)
            except struct.error:  # cut off, or not what it seems
                self._functions[base] = []
        return self._functions[base]

    def _read_functions(self, base: int) -> list[_Function]:
        """Return the functions that the module at ``base`` names for others (elf(5))."""
        header = _HEADER.unpack(self._read(base, _HEADER.size))
        kind, table, count = header[1], header[5], header[10]
        if not header[0].startswith(_ELF_64):
            return []
        size = count * _SEGMENT.size
        segments = list(_SEGMENT.iter_unpack(self._read(base + table, size)))
        first = min((one[3] for one in segments if one[0] == _LOADED), default=0)
        bias = 0 if kind == _FIXED else base - first // _PAGE_BYTES * _PAGE_BYTES
        for segment in segments:
            if segment[0] == _DYNAMIC:
                content = self._read(bias + segment[3], min(segment[6], _PAGE_BYTES))
                return self._symbols(dict(struct.iter_unpack("<QQ", content)), bias)
        return []

    def _symbols(self, dynamic: dict[int, int], bias: int) -> list[_Function]:
        if not {_STRINGS, _SYMBOLS, _STRINGS_BYTES} <= dynamic.keys():
            return []
        # Loaders other than musl's have made them absolute.
        strings, symbols = (
            value if value >= bias else value + bias
            for value in (dynamic[_STRINGS], dynamic[_SYMBOLS])
        )
        # Nothing says how many there are; linkers put the strings behind them.
        size = (strings - symbols) // _SYMBOL.size * _SYMBOL.size
        if not 0 < size <= _MOST_TABLE_BYTES:
            return []
        names = self._read(strings, min(dynamic[_STRINGS_BYTES], _MOST_TABLE_BYTES))
        found = _SYMBOL.iter_unpack(self._read(symbols, size))
        return [
            _Function(bias + start, size, _string(names, name))
            for name, kind, _, section, start, size in found
            if kind & 15 in _FUNCTIONS and section and size
        ]


def _map(line: str) -> _Map:
    span, rights, offset, _, _, *path = line.rstrip("\n").split(maxsplit=5)
    start, _, end = span.partition("-")
    return _Map(int(start, 16), int(end, 16), "x" in rights, int(offset, 16), "".join(path))


def _string(names: bytes, at: int) -> str:
    return names[at : names.find(b"\0", at)].decode(errors="backslashreplace")
