"""The root emulation under load, and given what no program should pass."""

import os
from pathlib import Path

import pytest

from tests.support.require import require
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of, top_layer

pytestmark = pytest.mark.userns

LEVELS = ("record", "full")
KEEP = ("--owner", "keep")
# python runs on a base of links into the machine's own /usr.
USR = tarball(symlink("lib", "usr/lib"), symlink("lib64", "usr/lib64"), directory("usr"))


def ran(place: Workplace, source: str, *args: str) -> Path:
    """Return the image after a run of Python ``source``, what it printed in /said."""
    base = place.base("base.tar", busybox_layer(), USR, tarball(file("h.py", source.encode())))
    script = "/usr/bin/python3 -I /h.py > /said\n"
    return place.build(script, "--bind", "/usr:/usr:ro", *KEEP, *args, base=base)


# Each line is a call and its errno.
HOSTILE = r"""
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def said(*arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_void_p(a) if isinstance(a, int) else a for a in arguments])
    shown = [a[:20] if isinstance(a, bytes) else a for a in arguments]
    print(shown, result, errno.errorcode.get(ctypes.get_errno(), "-"), flush=True)
CHOWN, FCHOWN, LCHOWN, FCHOWNAT, CWD = 92, 93, 94, 260, -100
os.mkdir("/h"); os.chdir("/h"); os.symlink("loop", "loop"); os.symlink("nothing", "dangling")
open("f", "w").close()
for address in (0, 1, -1, 1 << 47, (1 << 63) + 5):
    said(CHOWN, address, 5, 5)
paths = [b"", b"nothing", b"f/x", b"f/", b"loop", b"dangling", b"/", b".", b"..", b"/../h/f",
    b"x" * 255, b"x" * 256, b"y/" * 2000 + b"z", b"y" * 5000, b"/proc/self/fd/77",
    b"/proc/self/nothing", b"/dev/fd/99", b"\xff\xfe", b"/h/\n", b"/proc/self/cwd/f",
    b"/proc/thread-self/root/h/f", b"/proc/self/cwd", b"/proc/self/root/", b"/proc/self/cwd/../x",
    b"/dev/fd/0/x", b"/dev/null/x"]
for path in paths:
    for call in (CHOWN, LCHOWN):
        said(call, path, 5, 5)
for fd in (-1, 99, CWD, 2**31 - 1, 2**32 + 99):
    said(FCHOWN, fd, 5, 5)
    said(FCHOWNAT, fd, b"nothing", 5, 5, 0)
    said(FCHOWNAT, fd, b"", 5, 5, 0x1000)
    said(FCHOWNAT, fd, b"/h/f", 5, 5, 0)
said(FCHOWNAT, CWD, b"f", 5, 5, 0x4000000)
said(FCHOWN, os.open("f", os.O_RDONLY | os.O_PATH), 5, 5)
said(FCHOWN, os.open("f", os.O_RDONLY), 5, 5)
said(FCHOWN, os.pipe()[0], 5, 5)
said(FCHOWNAT, os.open("f", os.O_RDONLY), b"f", 5, 5, 0)
os.mkdir("gone"); os.chdir("gone"); os.rmdir("/h/gone")
said(CHOWN, b"f", 5, 5)
said(CHOWN, b".", 5, 5)
said(FCHOWN, os.open("/h", os.O_TMPFILE | os.O_RDWR), 5, 5)
said(CHOWN, b"/h/f", 2**32 - 1, 2**32 - 1)
said(CHOWN, b"/h/f", 2**32 + 7, 2**40 + 8)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_whatever_a_call_is_given_it_ends_as_the_kernel_has_it(
    level: str, lone_workplace: Workplace, workplace: Workplace
) -> None:
    require(os.uname().machine == "x86_64", "the calls' numbers are those of x86-64")
    said = []
    for place, args in ((workplace, ()), (lone_workplace, ("--emulate", level))):
        output = ran(place, HOSTILE, *args)
        said.append(content_of(output, "said").decode().splitlines())
        owner = top_layer(output)["h/f"]
        assert (owner.uid, owner.gid) == (7, 8)
    assert said[1] == said[0]


REUSED = """
import os
os.mkdir("/s"); reused = 0
for number in range(300):
    with open("/n", "w") as file:
        inode = os.fstat(file.fileno()).st_ino
    os.chown("/n", 5, 6); os.unlink("/n")
    with open(f"/s/{number}", "w") as file:
        reused += os.fstat(file.fileno()).st_ino == inode
"""


def test_a_new_file_has_not_the_owner_of_a_dead_one_of_its_number(
    lone_workplace: Workplace,
) -> None:
    layer = top_layer(ran(lone_workplace, REUSED))
    assert len([name for name in layer if name.startswith("s/")]) == 301
    assert {(member.uid, member.gid) for member in layer.values()} == {(0, 0)}


AT_ONCE = """
import os, signal, threading
def work(number):
    for file in range(100):
        path = f"/w/{number}-{file}"
        with open(path, "w") as new:
            os.fchown(new.fileno(), number, file)
        os.stat(path); os.chown(path, -1, file + 1)
os.mkdir("/w")
for number in range(1, 9):
    if os.fork() == 0:
        threads = [threading.Thread(target=work, args=(number * 10 + n,)) for n in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        os._exit(0)
victims = []
for _ in range(4):
    victims.append(os.fork())
    if not victims[-1]:
        while True: os.chown("/w", 3, 4)
done = 0
while done < 8:
    done += os.wait()[0] not in victims
for victim in victims:
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_many_callers_at_once_are_each_remembered(level: str, lone_workplace: Workplace) -> None:
    layer = top_layer(ran(lone_workplace, AT_ONCE, "--emulate", level))
    expected = {
        f"w/{process * 10 + thread}-{file}": (process * 10 + thread, file + 1)
        for process in range(1, 9)
        for thread in range(3)
        for file in range(100)
    }
    owners = {name: (member.uid, member.gid) for name, member in layer.items()}
    assert {name: owners[name] for name in expected} == expected
    assert owners["w/"] == (3, 4)


MKNOD = """
import errno, os, stat
os.symlink("nothing", "/dangling"); open("/file", "w").close()
for path in (b"", b"/", b"/.", b"/..", b"/no/x", b"/file", b"/file/x", b"/dangling", b"/new/",
             b"/x" * 3000, b"x" * 256, b"/proc/x", b"/dev/x", b"/\\xff"):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except OSError as error:
        print(path[:9], errno.errorcode[error.errno])
    else:
        print(path[:9], "made")
"""
MADE = """b'' ENOENT
b'/' EEXIST
b'/.' EEXIST
b'/..' EEXIST
b'/no/x' ENOENT
b'/file' EEXIST
b'/file/x' ENOTDIR
b'/dangling' EEXIST
b'/new/' ENOENT
b'/x/x/x/x/' ENAMETOOLONG
b'xxxxxxxxx' ENAMETOOLONG
b'/proc/x' ENOENT
b'/dev/x' EPERM
b'/\\xff' made
"""


def test_a_device_that_cannot_be_made_is_refused_as_by_the_kernel(
    lone_workplace: Workplace,
) -> None:
    output = ran(lone_workplace, MKNOD)
    assert content_of(output, "said").decode() == MADE
