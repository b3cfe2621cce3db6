"""Connections out of a machine, where it was asked for them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.support.harness import run_harness
from tests.support.require import require, require_program
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


@contextmanager
def _greeting_server() -> Iterator[tuple[str, int]]:
    """Serve a line over HTTP, once, at an address of this host that is not its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("198.51.100.1", 9))  # nothing is sent
        except OSError:
            require(False, "this host has no route")
        host = asked.getsockname()[0]
    with socket.create_server((host, 0)) as listening:
        listening.settimeout(30)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")

        server = Thread(target=serve)
        server.start()
        yield host, listening.getsockname()[1]
        server.join()


@pytest.mark.root
def test_machine_reaches_what_this_host_does_if_asked(public_path: Path) -> None:
    require_program("pasta")
    place = Workplace(path=public_path, account=None)  # on some hosts tun is for root alone
    with _greeting_server() as (host, port):
        source = f"""
with Machine("base.tar", name="shut") as shut:
    tell(shut.execute("busybox wget -T 3 http://{host}:{port}").status != 0)
options = MachineOptions(outgoing=True)
with Machine("base.tar", name="a", options=options) as a:
    a.reboot()
    tell(a.succeed("busybox wget -q -O - http://{host}:{port}", timeout=30))
    tell(a.read_text("/etc/resolv.conf"))
    tell([change.path for change in a.diff()])
    tell(a.execute("busybox wget -T 3 http://10.0.2.2:{port}").status != 0)
"""
        told = run_harness(place, source)
    assert told == [True, "hello\n", "nameserver 10.0.2.3\n", [], True]


def test_missing_pasta_is_told_with_its_package(lone_workplace: Workplace) -> None:
    source = """
from rootrun.errors import HelperError
os.environ["PATH"] = "/nonexistent"
try:
    Machine("base.tar", options=MachineOptions(outgoing=True)).start()
except HelperError as error:
    tell([str(error), error.hint])
"""
    assert run_harness(lone_workplace, source) == [
        ["run pasta: pasta: not found on PATH", "install the package passt (Debian, Ubuntu)"]
    ]


def test_machine_on_the_network_of_the_host_needs_no_pasta(lone_workplace: Workplace) -> None:
    source = """
from rootrun.errors import UsageError
try:
    Machine("base.tar", options=MachineOptions(outgoing=True, host_network=True))
except UsageError as error:
    tell(str(error))
"""
    told = "machine machine: outgoing: it has the network of the host"
    assert run_harness(lone_workplace, source) == [told]
