"""A registry of its own for a test: Debian's docker-registry on loopback."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.require import require_program

_CONFIGURATION = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {directory}/storage
http:
  addr: {address}
"""
_CLIENT_FILE = ".config/containers/registries.conf"
_INSECURE = """\
[[registry]]
location = "{address}"
insecure = true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry that runs. ``home`` has a registries.conf(5) in it, and all can read it."""

    address: str
    home: Path

    def push(self, source: str, name: str) -> str:
        """Push an image with skopeo and return its pinned reference, ``docker://...@sha256:...``."""
        target = f"docker://{self.address}/{name}"
        skopeo = require_program("skopeo")
        options = ["--quiet", "--dest-tls-verify=false", "--digestfile", "/dev/stdout"]
        argv: list[str | Path] = [skopeo, "copy", *options, source, target]
        digest = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
        return f"{target.rpartition(':')[0]}@{digest}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes skopeo talk to it without TLS, in versions old (HOME) and new."""
        configuration = self.home / _CLIENT_FILE
        return {
            "HOME": os.fspath(self.home),
            "CONTAINERS_REGISTRIES_CONF": os.fspath(configuration),
        }


@contextmanager
def running_registry(directory: Path) -> Iterator[Registry]:
    """Run a registry that keeps all in ``directory``, and end it."""
    program = require_program("docker-registry")
    address = f"127.0.0.1:{_free_port()}"
    server_file = directory / "registry.yml"
    server_file.write_text(_CONFIGURATION.format(directory=directory, address=address))
    client_file = directory / "home" / _CLIENT_FILE
    client_file.parent.mkdir(parents=True)
    client_file.write_text(_INSECURE.format(address=address))
    process = subprocess.Popen(
        [program, "serve", server_file],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"},
    )
    assert process.stderr is not None
    with process.stderr as messages:
        # It tells of each request, and would wait for ever once the pipe is full.
        draining = threading.Thread(target=messages.read)
        try:
            _wait_until_it_listens(messages.fileno())
            draining.start()
            yield Registry(address=address, home=directory / "home")
        finally:
            process.terminate()
            process.wait()
            if draining.is_alive():
                draining.join()


def _wait_until_it_listens(messages_fd: int) -> None:
    told = b""
    while b"listening on" not in told:
        chunk = os.read(messages_fd, 65536)
        assert chunk, f"docker-registry ended: {told.decode()}"
        told += chunk


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port
