"""The numbers of the calls that are answered, by architecture, as data.

From the kernel's tables (arch/x86/entry/syscalls/syscall_{64,32}.tbl, asm-generic/unistd.h). The
names are those tables' own: on i386, ``chown`` takes ids of 16 bits, and ``chown32`` of 32.
"""

from collections.abc import Mapping

AUDIT_ARCH_X86_64 = 0xC000003E
AUDIT_ARCH_I386 = 0x40000003
AUDIT_ARCH_AARCH64 = 0xC00000B7

Numbers = Mapping[str, int]

CHOWN: Mapping[int, Numbers] = {
    AUDIT_ARCH_X86_64: {"chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260},
    AUDIT_ARCH_I386: {
        "lchown": 16,
        "fchown": 95,
        "chown": 182,
        "lchown32": 198,
        "fchown32": 207,
        "chown32": 212,
        "fchownat": 298,
    },
    AUDIT_ARCH_AARCH64: {"fchownat": 54, "fchown": 55},
}
"""All change an owner."""

MKNOD: Mapping[int, Numbers] = {
    AUDIT_ARCH_X86_64: {"mknod": 133, "mknodat": 259},
    AUDIT_ARCH_I386: {"mknod": 14, "mknodat": 297},
    AUDIT_ARCH_AARCH64: {"mknodat": 33},
}
"""All make a device, or something that needs no help."""

STAT: Mapping[int, Numbers] = {
    AUDIT_ARCH_X86_64: {"stat": 4, "fstat": 5, "lstat": 6, "newfstatat": 262, "statx": 332},
    AUDIT_ARCH_I386: {
        "stat64": 195,
        "lstat64": 196,
        "fstat64": 197,
        "fstatat64": 300,
        "statx": 383,
    },
    AUDIT_ARCH_AARCH64: {"newfstatat": 79, "fstat": 80, "statx": 291},
}
"""All tell an owner; those of before 1999, with ids of 16 bits, are left alone."""

SET_IDS: Mapping[int, Numbers] = {
    AUDIT_ARCH_X86_64: {
        "setuid": 105,
        "setgid": 106,
        "setreuid": 113,
        "setregid": 114,
        "setgroups": 116,
        "setresuid": 117,
        "setresgid": 119,
        "setfsuid": 122,
        "setfsgid": 123,
        "capset": 126,
    },
    AUDIT_ARCH_I386: {
        "setuid": 23,
        "setgid": 46,
        "setreuid": 70,
        "setregid": 71,
        "setgroups": 81,
        "setfsuid": 138,
        "setfsgid": 139,
        "setresuid": 164,
        "setresgid": 170,
        "capset": 185,
        "setreuid32": 203,
        "setregid32": 204,
        "setgroups32": 206,
        "setresuid32": 208,
        "setresgid32": 210,
        "setuid32": 213,
        "setgid32": 214,
        "setfsuid32": 215,
        "setfsgid32": 216,
    },
    AUDIT_ARCH_AARCH64: {
        "capset": 91,
        "setregid": 143,
        "setgid": 144,
        "setreuid": 145,
        "setuid": 146,
        "setresuid": 147,
        "setresgid": 149,
        "setfsuid": 151,
        "setfsgid": 152,
        "setgroups": 159,
    },
}
"""All change what the caller itself may do."""

_NAMES = {
    (arch, number): name
    for table in (CHOWN, MKNOD, STAT)
    for arch, numbers in table.items()
    for name, number in numbers.items()
}


def name_of(arch: int, number: int) -> str | None:
    """Return the name of a call that a supervisor may be asked about, None of any other."""
    return _NAMES.get((arch, number))
