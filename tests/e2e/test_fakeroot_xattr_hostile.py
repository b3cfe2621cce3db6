"""Calls about set-id modes and attributes, given what no program should pass, below a filter."""

import os
from pathlib import Path

import pytest

from tests.support.require import require
from tests.support.restricted import restricted_build
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of

pytestmark = pytest.mark.userns

USR = tarball(symlink("lib", "usr/lib"), symlink("lib64", "usr/lib64"), directory("usr"))
OPTIONS = ("--owner", "keep", "--bind", "/usr:/usr:ro")
SCRIPT = "/usr/bin/python3 -I /h.py > /said\n"

# Each line is a call and its errno.
HOSTILE = r"""
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def said(*arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments])
    shown = [a[:20] if isinstance(a, bytes) else a for a in arguments if a is not room]
    print(shown, result, errno.errorcode.get(ctypes.get_errno(), "-"), flush=True)
CHMOD, FCHMOD, FCHMODAT, FCHMODAT2, CWD = 90, 91, 268, 452, -100
SET, LSET, FSET, GET, LGET, FGET, LIST, LLIST, FLIST, REMOVE = range(188, 198)
os.mkdir("/h"); os.chdir("/h"); os.symlink("loop", "loop"); os.symlink("nothing", "dangling")
open("f", "w").close(); os.symlink("f", "l")
room = ctypes.create_string_buffer(100)
for address in (0, 1, -1, 1 << 47, (1 << 63) + 5):
    said(CHMOD, address, 0o4755)
    said(FCHMODAT, CWD, address, 0o4755)
    said(SET, address, b"user.a", b"x", 1, 0)
    said(SET, b"f", address, b"x", 1, 0)
    said(SET, b"f", b"user.a", address, 1, 0)
    said(SET, b"f", b"user.a", address, 0, 0)
    said(GET, b"f", address, room, 100)
    said(GET, b"f", b"user.a", address, 100)
    said(GET, b"f", b"user.a", address, 0)
    said(LIST, b"f", address, 100)
    said(LIST, b"f", address, 0)
    said(REMOVE, b"f", address)
paths = [b"", b"nothing", b"f/x", b"f/", b"l", b"loop", b"dangling", b"/", b".", b"..", b"/../h/f",
    b"x" * 255, b"x" * 256, b"y/" * 2000 + b"z", b"y" * 5000, b"/proc/self/fd/77",
    b"/proc/self/nothing", b"/dev/fd/99", b"\xff\xfe", b"/h/\n", b"/proc/self/cwd/f",
    b"/proc/thread-self/root/h/f", b"/dev/fd/0/x", b"/dev/null/x"]
for path in paths:
    said(CHMOD, path, 0o6755); said(FCHMODAT2, CWD, path, 0o6755, 0x100)
    said(FCHMODAT2, CWD, path, 0o6755, 0x1000)
    for call in (SET, LSET):
        said(call, path, b"user.a", b"123", 3, 0)
    for call in (GET, LGET):
        said(call, path, b"user.a", room, 3); said(call, path, b"user.a", room, 2)
    said(LIST, path, room, 100); said(LLIST, path, room, 100); said(LIST, path, room, 6)
for fd in (-1, 99, 2**31 - 1, 2**32 + 99, os.open("f", os.O_PATH), os.open("f", os.O_RDONLY)):
    said(FCHMOD, fd, 0o4755)
    said(FCHMODAT, fd, b"nothing", 0o4755)
    said(FCHMODAT2, fd, b"", 0o4755, 0x1000)
    said(FCHMODAT2, fd, b"", 0o4755, 0)
    said(FCHMODAT, fd, b"/h/f", 0o4755)
    said(FSET, fd, b"user.a", b"x", 1, 0); said(FGET, fd, b"user.a", room, 100)
    said(FLIST, fd, room, 100)
said(FCHMODAT2, CWD, b"f", 0o4755, 0x4000000)
said(FCHMODAT, CWD, b"f", 0o4755, 0x4000000)
said(SET, b"f", b"user.b", b"x" * 65537, 65537, 0)
said(SET, b"f", b"user.b", room, 1 << 40, 0)
said(SET, b"f", b"user.b", b"x" * 100, 100, 1 << 40); said(GET, b"f", b"user.b", room, 1 << 40)
said(SET, b"f", b"user.b", b"x" * 100, 100, 1 << 40 | 1)
said(CHMOD, b"f", (1 << 40) | 0o144755); print(oct(os.stat("f").st_mode))
os.mkdir("gone"); os.chdir("gone"); os.rmdir("/h/gone")
said(CHMOD, b"f", 0o4755); said(CHMOD, b".", 0o2755); said(SET, b".", b"user.a", b"", 0, 0)
fd = os.open("/h", os.O_TMPFILE | os.O_RDWR)
said(FCHMOD, fd, 0o4711); print(oct(os.fstat(fd).st_mode)); said(FSET, fd, b"user.t", b"t", 1, 0)
said(FGET, fd, b"user.t", room, 1)
said(265, CWD, f"/proc/self/fd/{fd}".encode(), CWD, b"/h/was", 0x400)
print(oct(os.stat("/h/was").st_mode)); said(GET, b"/h/was", b"user.t", room, 1)
"""
# One file with too many attributes, one with too much in them.
GREEDY = """
import errno, os
def told(path, name, value):
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        return errno.errorcode[error.errno]
for path in ("/many", "/large"):
    open(path, "w").close()
print([number for number in range(70) if told("/many", f"user.{number}", b"x")])
print([told("/large", f"user.{letter}", bytes(30000)) for letter in "abc"])
print(told("/large", "user.a", b""), told("/large", "user.c", bytes(30000)))
print(len(os.listxattr("/many")), sorted(os.listxattr("/large")))
"""


def base_of(place: Workplace, source: str) -> Path:
    return place.base("base.tar", busybox_layer(), USR, tarball(file("h.py", source.encode())))


def test_whatever_a_call_is_given_it_ends_as_the_kernel_has_it(
    lone_workplace: Workplace, workplace: Workplace
) -> None:
    require(os.uname().machine == "x86_64", "the calls' numbers are those of x86-64")
    outside = workplace.build(SCRIPT, *OPTIONS, base=base_of(workplace, HOSTILE))
    base = base_of(lone_workplace, HOSTILE)
    inside, _ = restricted_build(lone_workplace, SCRIPT, *OPTIONS, base=base)
    said = [content_of(output, "said").decode().splitlines() for output in (inside, outside)]
    assert said[0] == said[1]


def test_there_is_an_end_to_what_is_remembered_of_a_file(lone_workplace: Workplace) -> None:
    base = base_of(lone_workplace, GREEDY)
    output, _ = restricted_build(lone_workplace, SCRIPT, *OPTIONS, base=base)
    assert content_of(output, "said").decode().splitlines() == [
        "[64, 65, 66, 67, 68, 69]",
        "[None, None, 'ENOSPC']",
        "None None",
        "64 ['user.a', 'user.b', 'user.c']",
    ]
