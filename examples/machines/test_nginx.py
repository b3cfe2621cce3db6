"""A web server and its client: two machines on a network."""

import pytest

from rootrun.testing import Machine, Network
from rootrun.testing.plugin import MachineFactory, NetworkFactory

PAGE = "served by nginx\n"
GET = "curl --silent --show-error http://server/"


@pytest.fixture
def lan(rootrun_network: NetworkFactory) -> Network:
    return rootrun_network("lan")


@pytest.fixture
def server(debian: str, rootrun_machine: MachineFactory, lan: Network) -> Machine:
    machine = rootrun_machine(debian, name="server", networks=[lan])
    machine.write_text("/var/www/html/index.html", PAGE)
    machine.start("nginx -g 'daemon off;'")
    machine.wait_for_open_port(80)
    return machine


@pytest.fixture
def client(debian: str, rootrun_machine: MachineFactory, lan: Network) -> Machine:
    return rootrun_machine(debian, name="client", networks=[lan])


def test_client_finds_the_server_by_its_name(server: Machine, client: Machine) -> None:
    assert client.succeed(GET) == PAGE
    assert '"GET / HTTP/1.1" 200' in server.read_text("/var/log/nginx/access.log")


def test_client_waits_for_a_link_that_is_down(
    lan: Network, server: Machine, client: Machine
) -> None:
    lan.set_link(server, up=False)
    client.fail(f"{GET} --max-time 1")
    lan.set_link(server, up=True)
    assert client.wait_until_succeeds(f"{GET} --max-time 5", timeout=60) == PAGE


def test_wrong_configuration_stops_no_server(server: Machine, client: Machine) -> None:
    server.write_text("/etc/nginx/conf.d/wrong.conf", "no_such_word on;\n")
    assert "no_such_word" in server.execute("nginx -t").stderr
    server.fail("nginx -s reload")
    assert client.succeed(GET) == PAGE
