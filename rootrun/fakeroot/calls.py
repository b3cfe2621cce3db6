"""The numbers of the calls that are answered, by architecture, as data.

From the kernel's tables (arch/x86/entry/syscalls/syscall_{64,32}.tbl, asm-generic/unistd.h). The
names are those tables' own: on i386, ``chown`` takes ids of 16 bits, and ``chown32`` of 32.
"""

from collections.abc import Iterable, Mapping

from rootrun.sandbox.bpf import AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64

ARCHITECTURES = (AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64)
"""In the order of the columns of ``NUMBERS``."""

Names = tuple[str, ...]

NUMBERS: Mapping[str, tuple[int | None, int | None, int | None]] = {
    "chown": (92, 182, None),
    "fchown": (93, 95, 55),
    "lchown": (94, 16, None),
    "fchownat": (260, 298, 54),
    "chown32": (None, 212, None),
    "fchown32": (None, 207, None),
    "lchown32": (None, 198, None),
    "chmod": (90, 15, None),
    "fchmod": (91, 94, 52),
    "fchmodat": (268, 306, 53),
    "fchmodat2": (452, 452, 452),
    "mknod": (133, 14, None),
    "mknodat": (259, 297, 33),
    "open": (2, 5, None),
    "openat": (257, 295, 56),
    "openat2": (437, 437, 437),
    "creat": (85, 8, None),
    "mkdir": (83, 39, None),
    "mkdirat": (258, 296, 34),
    "symlink": (88, 83, None),
    "symlinkat": (266, 304, 36),
    "rename": (82, 38, None),
    "renameat": (264, 302, 38),
    "renameat2": (316, 353, 276),
    "link": (86, 9, None),
    "linkat": (265, 303, 37),
    "stat": (4, 106, None),
    "lstat": (6, 107, None),
    "fstat": (5, 108, 80),
    "newfstatat": (262, None, 79),
    "statx": (332, 383, 291),
    "stat64": (None, 195, None),
    "lstat64": (None, 196, None),
    "fstat64": (None, 197, None),
    "fstatat64": (None, 300, None),
    "setxattr": (188, 226, 5),
    "lsetxattr": (189, 227, 6),
    "fsetxattr": (190, 228, 7),
    "getxattr": (191, 229, 8),
    "lgetxattr": (192, 230, 9),
    "fgetxattr": (193, 231, 10),
    "listxattr": (194, 232, 11),
    "llistxattr": (195, 233, 12),
    "flistxattr": (196, 234, 13),
    "removexattr": (197, 235, 14),
    "lremovexattr": (198, 236, 15),
    "fremovexattr": (199, 237, 16),
    "execve": (59, 11, 221),
    "execveat": (322, 358, 281),
    "getuid": (102, 24, 174),
    "geteuid": (107, 49, 175),
    "getgid": (104, 47, 176),
    "getegid": (108, 50, 177),
    "getgroups": (115, 80, 158),
    "getresuid": (118, 165, 148),
    "getresgid": (120, 171, 150),
    "getuid32": (None, 199, None),
    "geteuid32": (None, 201, None),
    "getgid32": (None, 200, None),
    "getegid32": (None, 202, None),
    "getgroups32": (None, 205, None),
    "getresuid32": (None, 209, None),
    "getresgid32": (None, 211, None),
    "setuid": (105, 23, 146),
    "setgid": (106, 46, 144),
    "setreuid": (113, 70, 145),
    "setregid": (114, 71, 143),
    "setgroups": (116, 81, 159),
    "setresuid": (117, 164, 147),
    "setresgid": (119, 170, 149),
    "setfsuid": (122, 138, 151),
    "setfsgid": (123, 139, 152),
    "setuid32": (None, 213, None),
    "setgid32": (None, 214, None),
    "setreuid32": (None, 203, None),
    "setregid32": (None, 204, None),
    "setgroups32": (None, 206, None),
    "setresuid32": (None, 208, None),
    "setresgid32": (None, 210, None),
    "setfsuid32": (None, 215, None),
    "setfsgid32": (None, 216, None),
    "capget": (125, 184, 90),
    "capset": (126, 185, 91),
    "prctl": (157, 172, 167),
    "getsockopt": (55, 365, 209),
    "userfaultfd": (323, 374, 282),
    "setrlimit": (160, 75, 164),
    "getrlimit": (97, 76, 163),
    "ugetrlimit": (None, 191, None),
    "prlimit64": (302, 340, 261),
    "utime": (132, 30, None),
    "utimes": (235, 271, None),
    "futimesat": (261, 299, None),
    "utimensat": (280, 320, 88),
    "utimensat_time64": (None, 412, None),
    "unlink": (87, 10, None),
    "unlinkat": (263, 301, 35),
    "rmdir": (84, 40, None),
    "truncate": (76, 92, 45),
    "truncate64": (None, 193, None),
    "access": (21, 33, None),
    "faccessat": (269, 307, 48),
    "faccessat2": (439, 439, 439),
    "chdir": (80, 12, 49),
    "fchdir": (81, 133, 50),
    "chroot": (161, 61, 51),
    "sethostname": (170, 74, 161),
    "setdomainname": (171, 121, 162),
    "mount": (165, 21, 40),
    "umount": (None, 22, None),
    "umount2": (166, 52, 39),
    "pivot_root": (155, 217, 41),
    "unshare": (272, 310, 97),
    "setns": (308, 346, 268),
    "open_tree": (428, 428, 428),
    "move_mount": (429, 429, 429),
    "fsopen": (430, 430, 430),
    "fsmount": (432, 432, 432),
    "fspick": (433, 433, 433),
    "mount_setattr": (442, 442, 442),
    "reboot": (169, 88, 142),
    "swapon": (167, 87, 224),
    "swapoff": (168, 115, 225),
    "bind": (49, 361, 200),
    "kill": (62, 37, 129),
    "tkill": (200, 238, 130),
    "tgkill": (234, 270, 131),
    "pidfd_send_signal": (424, 424, 424),
}

CHOWN: Names = ("chown", "fchown", "lchown", "fchownat", "chown32", "fchown32", "lchown32")
CHMOD: Names = ("chmod", "fchmod", "fchmodat", "fchmodat2")
MKNOD: Names = ("mknod", "mknodat")
OPEN: Names = ("open", "openat", "openat2", "creat")
CREATE: Names = ("mkdir", "mkdirat", "symlink", "symlinkat")
RENAME: Names = ("rename", "renameat", "renameat2", "link", "linkat")
STAT: Names = (
    *("stat", "lstat", "fstat", "newfstatat", "statx"),
    *("stat64", "lstat64", "fstat64", "fstatat64"),
)
SET_XATTR: Names = ("setxattr", "lsetxattr", "fsetxattr")
GET_XATTR: Names = ("getxattr", "lgetxattr", "fgetxattr")
LIST_XATTR: Names = ("listxattr", "llistxattr", "flistxattr")
REMOVE_XATTR: Names = ("removexattr", "lremovexattr", "fremovexattr")
EXECUTE: Names = ("execve", "execveat")
GET_IDS: Names = (
    *("getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid"),
    *("getuid32", "geteuid32", "getgid32", "getegid32"),
    *("getgroups32", "getresuid32", "getresgid32"),
)
SET_IDS: Names = (
    *("setuid", "setgid", "setreuid", "setregid", "setgroups", "setresuid", "setresgid"),
    *("setfsuid", "setfsgid", "setuid32", "setgid32", "setreuid32", "setregid32"),
    *("setgroups32", "setresuid32", "setresgid32", "setfsuid32", "setfsgid32"),
)
LIMITS: Names = ("setrlimit", "getrlimit", "ugetrlimit", "prlimit64")
SET_TIMES: Names = ("utime", "utimes", "futimesat", "utimensat", "utimensat_time64")
REMOVE: Names = ("unlink", "unlinkat", "rmdir")
TRUNCATE: Names = ("truncate", "truncate64")
ACCESS: Names = ("access", "faccessat", "faccessat2")
CHANGE_DIRECTORY: Names = ("chdir", "fchdir")
ADMINISTER: Names = (
    *("sethostname", "setdomainname", "mount", "umount", "umount2", "pivot_root", "unshare"),
    *("setns", "open_tree", "move_mount", "fsopen", "fsmount", "fspick", "mount_setattr"),
    *("swapon", "swapoff"),
)
SIGNAL: Names = ("kill", "tkill", "tgkill", "pidfd_send_signal")
GUARDED: Names = (
    *(*SET_TIMES, *REMOVE, *TRUNCATE, *ACCESS, *CHANGE_DIRECTORY),
    *("chroot", "reboot", "bind", *ADMINISTER, *SIGNAL),
)
"""Those that are asked about because not everybody may make them, and for nothing else."""
CAPABILITIES: Names = ("capget", "capset")

SHORT_IDS = frozenset(
    {
        *("chown", "fchown", "lchown"),
        *("getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid"),
        *("setuid", "setgid", "setreuid", "setregid", "setgroups", "setresuid", "setresgid"),
        *("setfsuid", "setfsgid"),
    }
)
"""Those whose ids have 16 bits on i386, where -1 is 0xffff."""


def numbers(names: Iterable[str], arch: int) -> dict[str, int]:
    """Return the numbers of those of ``names`` that an architecture has."""
    column = ARCHITECTURES.index(arch)
    found = ((name, NUMBERS[name][column]) for name in names)
    return {name: number for name, number in found if number is not None}
