"""Files and trees, copied between a machine and the host."""

import os

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


def test_tree_comes_back_as_it_went(workplace: Workplace) -> None:
    source = """
tree = Path("tree"); (tree / "sub").mkdir(parents=True)
(tree / "sub/run").write_text("#!/bin/sh"); (tree / "sub/run").chmod(0o750)
(tree / "link").symlink_to("sub/run"); (tree / "large").write_bytes(bytes(range(256)) * 40960)
with Machine("base.tar") as machine:
    machine.copy_to("tree", "/srv/deep/tree")
    tell(machine.succeed("cd /srv/deep/tree; stat -c '%n %a %U' sub sub/run; readlink link"))
    machine.copy_from("/srv/deep/tree", "back/there")
    machine.copy_to("tree/sub/run", "/etc")
    machine.copy_to("tree", "/srv")
    tell(machine.succeed("ls /etc/run /srv"))
    machine.shutdown()
    machine.copy_to("tree/sub/run", "/root/while-down")
    machine.copy_from("/root/while-down", "back")
back = Path("back/there")
tell((back / "large").read_bytes() == (tree / "large").read_bytes())
tell([oct((back / "sub/run").stat().st_mode), os.readlink(back / "link")])
tell([Path("back/while-down").read_text(), back.owner() == Path("tree").owner()])
"""
    assert run_harness(workplace, source) == [
        "sub 755 root\nsub/run 750 root\nsub/run\n",
        "/etc/run\n\n/srv:\ndeep\ntree\n",
        True,
        ["0o100750", "sub/run"],
        ["#!/bin/sh", True],
    ]


def test_closed_files_of_others_come_out_without_their_privileges(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.succeed("mkdir -p /srv/t/closed; echo x > /srv/t/closed/f; mkfifo /srv/t/p",
                    "chown -R 1000:1000 /srv/t; chmod 4755 /srv/t/closed/f",
                    "chmod 0 /srv/t/closed", "mknod /srv/t/device c 1 3")
    machine.copy_from("/srv/t", "t")
os.chmod("t/closed", 0o700)
tell([oct(os.stat("t/closed/f").st_mode), os.stat("t/closed/f").st_uid == os.getuid()])
"""
    assert run_harness(workplace, source) == [["0o100755", True]]


def test_hostile_tree_writes_nothing_outside_of_the_destination(workplace: Workplace) -> None:
    source = """
os.mkdir("outside"); os.mkdir("out")
os.symlink(os.path.abspath("outside"), "out/sub")
os.symlink("../outside/file", "out/file")
with Machine("base.tar") as machine:
    machine.succeed("mkdir -p /srv/t/sub; echo x > /srv/t/sub/planted; echo x > /srv/t/file",
                    f"ln -s {os.path.abspath('outside')} /srv/t/up")
    try:
        machine.copy_from("/srv/t/.", "out")
    except MachineError as error:
        tell("refused")
    machine.copy_from("/srv/t", "fresh")
    machine.succeed("ln -s / /srv/root; mkdir /srv/etc; ln -s ../../../../.. /srv/up")
    os.mkdir("in"); Path("in/passwd").write_text("mine")
    machine.copy_to("in", "/srv/up/srv/etc")
    tell(machine.succeed("cat /srv/etc/in/passwd"))
tell(os.listdir("outside"))
tell(os.path.islink("fresh/up"))
"""
    *refused, copied, outside, is_link = run_harness(workplace, source)
    assert refused in ([], ["refused"])
    assert [copied, outside, is_link] == ["mine", [], True]


def test_file_does_not_replace_a_directory_of_the_host(lone_workplace: Workplace) -> None:
    source = """
os.makedirs("out/name/kept")
with Machine("base.tar") as machine:
    machine.succeed("mkdir /srv; echo x > /srv/name; ln -s x /srv/kept")
    for path, to in (("/srv/name", "out"), ("/srv/.", "out"), ("/srv/kept", "out"),
                     ("/missing", "out"), ("/etc/passwd", "/proc/none/x")):
        try:
            machine.copy_from(path, to)
        except MachineError as error:
            tell(str(error))
    try:
        machine.copy_to("no-such-file", "/")
    except Exception as error:
        tell(str(error))
tell(os.listdir("out/name"))
"""
    told = run_harness(lone_workplace, source)
    assert told == [
        "machine: copy /srv/name: 'name': a directory is there already",
        "machine: copy /srv/.: 'name': a directory is there already",
        "machine: copy /srv/kept: No such file or directory",
        "machine: copy /missing: No such file or directory",
        "machine: copy /etc/passwd: /proc/none: No such file or directory",
        "copy: 'no-such-file': No such file or directory",
        ["kept"],
    ]


def test_tree_that_changes_while_it_is_copied_does_no_harm(lone_workplace: Workplace) -> None:
    source = """
SWAP = "while :; do mkdir -p /srv/a/b; echo x > /srv/a/b/f; mv /srv/a /srv/c; rm -rf /srv/c;" \\
       " ln -s /etc /srv/a; rm -f /srv/a; done"
with Machine("base.tar") as machine:
    machine.succeed(f"mkdir /srv; ({SWAP}) >/dev/null 2>&1 &")
    for number in range(30):
        try:
            machine.copy_from("/srv", f"out{number}")
        except MachineError:
            pass
    found = {path.name for path in Path(".").glob("out*/**/*")}
tell(sorted(found - {"a", "b", "c", "f"}))
"""
    assert run_harness(lone_workplace, source) == [[]]
    assert not os.path.lexists(lone_workplace.path / "srv")
