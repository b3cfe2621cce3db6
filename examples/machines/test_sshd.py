"""An sshd that lets in who has the key, and nobody by a password."""

from pathlib import Path

import pytest

from rootrun.testing import Machine, Network
from rootrun.testing.plugin import ImageFactory, MachineFactory, NetworkFactory

KEY = "/root/.ssh/id_ed25519"
KEYS_ONLY = "/etc/ssh/sshd_config.d/keys-only.conf"
SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
SSH_BY_PASSWORD = (
    "SSH_ASKPASS=/root/password SSH_ASKPASS_REQUIRE=force"
    " ssh -o PreferredAuthentications=password -o StrictHostKeyChecking=accept-new"
)
REFUSED = "Permission denied (publickey)"


@pytest.fixture(scope="session")
def with_alice(debian: str, rootrun_image: ImageFactory) -> Path:
    """An image with an account that has a password."""
    script = "useradd -m -s /bin/bash alice; echo alice:secret | chpasswd"
    return rootrun_image(debian, script, options=["--owner", "keep"])


@pytest.fixture
def lan(rootrun_network: NetworkFactory) -> Network:
    return rootrun_network("lan")


@pytest.fixture
def server(with_alice: Path, rootrun_machine: MachineFactory, lan: Network) -> Machine:
    machine = rootrun_machine(with_alice, name="server", networks=[lan])
    machine.write_text(KEYS_ONLY, "PasswordAuthentication no\n")
    machine.succeed("mkdir -p /run/sshd")
    machine.start("/usr/sbin/sshd -D -e")
    machine.wait_for_open_port(22)
    return machine


@pytest.fixture
def client(debian: str, rootrun_machine: MachineFactory, lan: Network) -> Machine:
    machine = rootrun_machine(debian, name="client", networks=[lan])
    machine.succeed(f"ssh-keygen -q -t ed25519 -N '' -f {KEY}")
    return machine


def let_in(server: Machine, client: Machine) -> None:
    server.succeed("install -d -o alice -g alice -m 700 /home/alice/.ssh")
    server.write_text("/home/alice/.ssh/authorized_keys", client.read_text(f"{KEY}.pub"))


def test_key_opens_the_door(server: Machine, client: Machine) -> None:
    let_in(server, client)
    assert client.succeed(f"{SSH} alice@server 'id -un; hostname'") == "alice\nserver\n"


def test_session_has_a_terminal_and_files_come_across(server: Machine, client: Machine) -> None:
    let_in(server, client)
    assert client.succeed(f"{SSH} -tt alice@server tty").startswith("/dev/pts/")
    client.succeed(f"scp -q -o BatchMode=yes {KEY}.pub alice@server:")
    assert server.succeed("stat -c %U /home/alice/id_ed25519.pub") == "alice\n"


@pytest.mark.usefixtures("server")
def test_stranger_is_refused(client: Machine) -> None:
    assert REFUSED in client.execute(f"{SSH} alice@server true").stderr


def test_password_opens_only_where_it_may(server: Machine, client: Machine) -> None:
    client.write_text("/root/password", "#!/bin/sh\necho secret\n", mode=0o755)
    assert REFUSED in client.execute(f"{SSH_BY_PASSWORD} alice@server true").stderr
    server.succeed(f"rm {KEYS_ONLY}", "kill -HUP $(cat /run/sshd.pid)")
    client.wait_until_succeeds(f"{SSH_BY_PASSWORD} alice@server true", timeout=30)
