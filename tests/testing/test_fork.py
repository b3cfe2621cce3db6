"""``Machine.fork``: a second machine from the present state of a first one."""

import pytest

from tests.support.harness import run_harness
from tests.support.image_check import assert_image_valid
from tests.support.workplace import Workplace, layers_of, top_layer

pytestmark = pytest.mark.userns

_CHANGE = (
    "mkdir -p /srv/data; echo one > /srv/data/f; chown -R app:extra /srv/data;"
    " chmod 2770 /srv/data; chmod 6755 /srv/data/f; ln /srv/data/f /srv/hard; ln /srv/p /srv/same;"
    " ln -s data /srv/link; mknod /srv/null c 1 3; mkfifo /srv/p; rm /etc/group;"
    " touch -d @1000000000 /srv/data/f /etc/passwd /srv/data /srv"
)
_LOOK = (
    "cd /srv; stat -c '%n %F %a %u:%g %Y' . data data/f hard p /etc/passwd;"
    " stat -c %h same; readlink link; cat hard; ls /etc"
)


def test_fork_has_all_that_its_parent_had(workplace: Workplace) -> None:
    source = f"""
CHANGE, LOOK = {_CHANGE!r}, {_LOOK!r}
with Machine("base.tar", name="one") as one:
    one.succeed(CHANGE)
    was = one.succeed(LOOK)
    with one.fork("two") as two:
        one.succeed("rm -r /srv; echo changed > /etc/passwd")
        tell([two.succeed("hostname"), two.name, one.name])
        now = two.succeed(LOOK)
        assert now == was, now + was
        tell(two.diff())
        tell(two.succeed("stat -c '%F %t %T' /srv/null; su app -c 'cat /srv/data/f'"))
    tell(one.succeed("cat /etc/passwd"))
"""
    assert run_harness(workplace, source) == [
        ["two\n", "two", "one"],
        [],
        "character special file 1 3\none\n",
        "changed\n",
    ]


def test_forks_of_forks_outlive_those_before(workplace: Workplace) -> None:
    source = """
os.mkdir("scratch")
options = MachineOptions(tmpdir="scratch")
machine = Machine("base.tar", options=options)
machine.start()
for number in range(4):
    machine.succeed(f"echo {number} > /root/{number}; chown {number + 1000} /root/{number}",
                    f"rm -f /root/{number - 2}")
    forked = machine.fork(f"m{number}")
    machine.close()
    machine = forked
tell(machine.succeed("stat -c '%n %u' /root/*"))
tell([path.path for path in machine.diff()])
machine.commit("out.tar")
machine.close()
with Machine("out.tar", options=options) as again:
    tell(again.succeed("stat -c '%n %u' /root/*"))
time.sleep(0.2)
[hub] = os.listdir("scratch")
tell([name for name in os.listdir(Path("scratch", hub)) if not name.startswith(("image", "cache"))])
"""
    kept = "/root/2 1002\n/root/3 1003\n"
    assert run_harness(workplace, source) == [kept, [], kept, []]


def test_commit_of_a_fork_has_the_layers_of_those_before(workplace: Workplace) -> None:
    source = f"""
owners = [(str(number), CommitOptions(owner=owner)) for number, owner in
          enumerate(("keep", "root", "7:8"))]
with Machine("base.tar") as machine:
    machine.succeed({_CHANGE!r}, "chown app /etc; touch /tmp /bin/busybox; chmod 711 /")
    for name, options in owners:
        machine.commit(f"plain{{name}}.tar", options)
    with machine.fork("fork") as fork:
        fork.succeed("rm /srv/link; echo last > /srv/last")
        for name, options in owners:
            fork.commit(f"forked{{name}}.tar", options)
"""
    run_harness(workplace, source)
    for number in range(3):
        forked = workplace.path / f"forked{number}.tar"
        assert layers_of(forked)[:-1] == layers_of(workplace.path / f"plain{number}.tar")
        assert list(top_layer(forked)) == ["srv/", "srv/.wh.link", "srv/last"]
        assert_image_valid(forked)


def test_fork_while_processes_write(workplace: Workplace) -> None:
    source = """
WRITER = "i=0; while :; do i=$((i+1)); echo $i > /tmp/one; echo $i > /tmp/two; done"
with Machine("base.tar") as machine:
    machine.succeed(f"({WRITER}) >/dev/null 2>&1 &")
    machine.wait_for_file("/tmp/two", timeout=20)
    for number in range(3):
        with machine.fork(f"fork{number}") as fork:
            one, two = fork.succeed("cat /tmp/one; echo :; cat /tmp/two").split(":")
            assert not one.strip() or not two.strip() or int(one) - int(two) in (0, 1), (one, two)
            assert fork.execute("ps | grep -c 'tmp/on[e]'").stdout == "0\\n"
    at = machine.read_text("/tmp/one")
    machine.wait_until_succeeds(f"test \\"$(cat /tmp/one)\\" != {at.strip() or 0}", timeout=20)
tell("done")
"""
    assert run_harness(workplace, source) == ["done"]


def test_fork_of_a_machine_that_is_down(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.succeed("echo x > /root/x; chown app /root/x")
    machine.crash()
    with machine.fork("other") as other:
        tell(other.succeed("stat -c %U /root/x"))
    tell(machine.is_up())
"""
    assert run_harness(workplace, source) == ["app\n", False]


def test_fork_joins_the_networks_that_it_is_given(lone_workplace: Workplace) -> None:
    source = """
with Network("lan") as lan, Machine("base.tar", name="one", networks=[lan]) as one:
    assert one.diff() == []
    one.succeed("echo x > /root/x")
    with one.fork("two", networks=[lan]) as two, two.fork("three") as three:
        tell(two.succeed("ping -c 1 one | grep -c 'bytes from'; cat /root/x"))
        tell(one.succeed("ping -c 1 two | grep -c 'bytes from'"))
        tell(three.execute("ping -c 1 -W 1 one").status != 0)
        two.reboot()
        tell(two.succeed("ping -c 1 one | grep -c 'bytes from'; cat /root/x"))
"""
    assert run_harness(lone_workplace, source) == ["1\nx\n", "1\n", True, "1\nx\n"]


def test_holes_of_a_file_stay_holes(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.succeed("echo x | dd of=/root/disk bs=1 seek=20000000000")
    with machine.fork("fork") as fork:
        size, blocks = fork.succeed("stat -c '%s %b' /root/disk").split()
        tell([int(size), int(blocks) < 100, fork.succeed("tail -c 2 /root/disk")])
"""
    assert run_harness(lone_workplace, source) == [[20_000_000_002, True, "x\n"]]


def test_what_a_fork_cannot_be_is_an_error_and_leaves_nothing(lone_workplace: Workplace) -> None:
    source = """
os.mkdir("scratch")
options = MachineOptions(tmpdir="scratch")
def told(function):
    try:
        function()
    except Exception as error:
        tell([type(error).__name__, str(error)])
with Machine("base.tar", options=options) as machine:
    told(lambda: machine.fork("No Name"))
    machine.succeed("echo x > /srv")
    os.rename("base.tar", "moved.tar")
    fork = machine.fork("fork")
    tell(fork.succeed("cat /srv"))
    fork.close()
    told(fork.start)
    told(lambda: fork.fork("again"))
    try:
        machine.fork("late", timeout=0)
    except MachineTimeoutError:
        tell("late")
    tell(machine.succeed("cat /srv"))
for _ in range(100):  # the one that came too late ends by itself
    if len(os.listdir("scratch")) == 1: break
    time.sleep(0.1)
tell(len(os.listdir("scratch")))
"""
    assert run_harness(lone_workplace, source) == [
        ["UsageError", "machine: 'No Name': not a host name of lower-case letters and digits"],
        "x\n",
        ["MachineError", "machine fork: the one that it was forked from has ended"],
        ["MachineError", "machine fork: was not started"],
        "late",
        "x\n",
        1,
    ]
