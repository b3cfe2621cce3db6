"""A shell of a machine at the terminal of the test's own process."""

import hashlib
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.harness import PRELUDE, run_harness
from tests.support.program import python_command
from tests.support.terminal import Terminal, at_terminal
from tests.support.users import processes_of
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_SHELL = 'with Machine("base.tar", name="web") as machine: sys.exit(machine.shell_interact())'
_IN_THREAD = """
with Machine("base.tar", name="web") as machine:
    thread = threading.Thread(target=machine.shell_interact)
    thread.start()
    thread.join()
"""
_CAPTURED = """
os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
for number in (1, 2):
    os.dup2(os.open("captured", os.O_WRONLY | os.O_CREAT), number)
"""
_PROMPT = "/ # "
_LINE = b"0123456789 and more than that, up to the end of it\n"


@contextmanager
def shell_of(workplace: Workplace, source: str = _SHELL) -> Iterator[Terminal]:
    """Run ``source`` at a terminal, and wait for the shell that it starts."""
    workplace.base()
    with at_terminal(workplace, python_command(PRELUDE + source)) as terminal:
        terminal.wait_for(_PROMPT)
        yield terminal


def test_shell_has_a_terminal_of_the_machine_and_no_other(workplace: Workplace) -> None:
    with shell_of(workplace) as terminal:
        terminal.type("busybox tty; hostname; id -u; echo $TERM$((1 + 1))\r")
        assert "/dev/pts/0\r\nweb\r\n0\r\nxterm2\r\n" in terminal.wait_for(_PROMPT)
        terminal.type(
            "ls -l /proc/$$/fd | grep -c pts/0; ls -l /proc/1/fd 2>&1 | grep -c -e '->'\r"
        )
        assert "3\r\n0\r\n" in terminal.wait_for(_PROMPT)


def test_terminal_has_its_modes_back_once_the_shell_ends(lone_workplace: Workplace) -> None:
    source = f"tell(1)\nsys.stdin.readline()\n{_SHELL}"
    lone_workplace.base()
    with at_terminal(lone_workplace, python_command(PRELUDE + source)) as terminal:
        terminal.wait_for("1\r\n")
        before = terminal.modes()
        terminal.type("\recho typed ahead\r")
        terminal.wait_for("\ntyped ahead\r\n")
        assert terminal.modes() != before
        terminal.type("exit 7\r")
        assert terminal.status() == 7
        assert terminal.modes() == before


def test_keys_control_jobs(workplace: Workplace) -> None:
    with shell_of(workplace) as terminal:
        terminal.type("PS1='now''> '\r")
        terminal.wait_for("now> ")
        terminal.type("sh -c 'echo be\"\"gun; exec sleep 600'; echo never\r")
        terminal.wait_for("begun\r\n")
        terminal.type("\x03")
        assert "never" not in terminal.wait_for("now> ")
        terminal.type("sh -c 'echo be\"\"gun; exec cat'\r")
        terminal.wait_for("begun\r\n")
        terminal.type("\x1a")
        terminal.wait_for("Stopped")
        for keys, shown in (("bg", "[1]"), ("jobs", "tty input"), ("fg", "exec cat")):
            terminal.wait_for("now> ")
            terminal.type(f"{keys}\r")
            terminal.wait_for(shown)
        terminal.type("to and fro\r")
        terminal.wait_for("to and fro\r\n", count=2)
        terminal.type("\x03")
        terminal.wait_for("now> ")
        terminal.type("ps | grep -c -e '[s]leep' -e '[c]at'; exit\r")
        terminal.wait_for("\n0\r\n")


def test_programs_for_the_whole_screen_work(lone_workplace: Workplace) -> None:
    with shell_of(lone_workplace) as terminal:
        for keys, shown in (
            ("busybox vi /tmp/note\r", "- /tmp/note"),
            ("ihello", "I /tmp/note"),
            ("\x1b", "- /tmp/note"),
            (":wq\r", _PROMPT),
        ):
            terminal.type(keys)
            terminal.wait_for(shown)
        terminal.type("cat /tmp/note /etc/passwd | busybox less\r")
        terminal.wait_for("hello\r\n\x1b[Kroot:x:0")
        terminal.type("q")
        terminal.wait_for(_PROMPT)


@pytest.mark.parametrize("source", [_SHELL, _IN_THREAD], ids=["main thread", "other thread"])
def test_window_can_change_its_size(source: str, lone_workplace: Workplace) -> None:
    with shell_of(lone_workplace, source) as terminal:
        terminal.type("busybox stty size\r")
        terminal.wait_for("\n24 80\r\n")
        terminal.type("trap 'busybox stty size' WINCH; echo rea''dy; sleep 5 & wait\r")
        terminal.wait_for("ready\r\n")
        terminal.resize(lines=50, columns=132)
        terminal.wait_for("50 132\r\n")


def test_what_is_pasted_and_shown_is_whole(lone_workplace: Workplace) -> None:
    content = _LINE * ((1 << 20) // len(_LINE))
    with shell_of(lone_workplace) as terminal:
        terminal.type("busybox stty -echo; cat > /tmp/pasted; busybox md5sum < /tmp/pasted\r")
        terminal.wait_for("\r\n")
        terminal.type(content + b"\x04")
        terminal.wait_for(hashlib.md5(content).hexdigest())
        terminal.wait_for(_PROMPT)
        terminal.type("cat /tmp/pasted\r")
        shown = terminal.wait_for(_PROMPT)
        assert shown.encode() == content.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_gives_the_terminal_back_and_leaves_nothing(
    number: signal.Signals, lone_workplace: Workplace
) -> None:
    source = f"tell(1)\nsys.stdin.readline()\n{_SHELL}"
    lone_workplace.base()
    with at_terminal(lone_workplace, python_command(PRELUDE + source)) as terminal:
        terminal.wait_for("1\r\n")
        before = terminal.modes()
        terminal.type("\r")
        terminal.wait_for(_PROMPT)
        terminal.send(number)
        assert terminal.status() == -number
        assert terminal.modes() == before
    assert lone_workplace.account
    wait_until_gone(lone_workplace)


def wait_until_gone(workplace: Workplace) -> None:
    """Wait until no process of the account is left."""
    assert workplace.account
    deadline_s = time.monotonic() + 30
    while processes_of(workplace.account):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_terminal_is_taken_again_after_a_stop(lone_workplace: Workplace) -> None:
    source = f"tell(1)\nsys.stdin.readline()\n{_SHELL}"
    lone_workplace.base()
    with at_terminal(lone_workplace, python_command(PRELUDE + source)) as terminal:
        terminal.wait_for("1\r\n")
        before = terminal.modes()
        terminal.type("\r")
        terminal.wait_for(_PROMPT)
        raw = terminal.modes()
        terminal.send(signal.SIGSTOP)
        assert terminal.modes(new=before) != raw  # as the shell sets them that is back then
        terminal.send(signal.SIGCONT)
        deadline_s = time.monotonic() + 30
        while terminal.modes() != raw:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        terminal.type("exit 5\r")
        assert terminal.status() == 5
        assert terminal.modes() == before


def test_terminal_is_found_where_output_is_captured(lone_workplace: Workplace) -> None:
    with shell_of(lone_workplace, _CAPTURED + _SHELL) as terminal:
        terminal.type("exit 3\r")
        assert terminal.status() == 3


def test_no_terminal_is_an_error(lone_workplace: Workplace) -> None:
    source = """
os.setsid()
with Machine("base.tar") as machine:
    try:
        machine.shell_interact()
    except MachineError as error:
        tell(str(error))
"""
    told = "interact with a shell: no terminal: /dev/tty: No such device or address"
    assert run_harness(lone_workplace, source) == [told]


def test_command_can_be_a_line_or_words(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    tell(machine.shell_interact("test -t 0 && id -un", user="app"))
    tell(machine.shell_interact(["sh", "-c", "kill -9 $$"]))
    try:
        machine.shell_interact(["nothing"])
    except Exception as error:
        tell(str(error))
"""
    lone_workplace.base()
    with at_terminal(lone_workplace, python_command(PRELUDE + source)) as terminal:
        assert terminal.status() == 0
        told = '"run nothing: not found in the image"'
        assert terminal.text() == f"app\r\n0\r\n137\r\n{told}\r\n"


def test_end_of_the_machine_ends_the_shell(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    threading.Timer(1, machine.crash).start()
    try:
        machine.shell_interact()
    except MachineError as error:
        tell(str(error))
"""
    lone_workplace.base()
    with at_terminal(lone_workplace, python_command(PRELUDE + source)) as terminal:
        assert terminal.status() == 0
        assert '"machine' in terminal.text()
