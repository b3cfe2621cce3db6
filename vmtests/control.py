"""The control channel of a guest: one request a line, one answer a line (guest/agent.sh)."""

import base64
import select
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

_TICK_S = 0.5
_GRACE_S = 30  # for an answer after the guest's own limit
_KILLED = 137


class Answer(NamedTuple):
    """What a command in the guest came to."""

    status: int
    stdout: str
    stderr: str


class Control:
    """The host's end. ``check`` is called while it waits, and raises if the guest is dead."""

    def __init__(self, connection: socket.socket, check: Callable[[], None]) -> None:
        self._check = check
        self._pending = b""
        self._socket = connection

    def wait_until_ready(self, timeout_s: float) -> str:
        """Return the release of the kernel, when the agent says that it is there."""
        word, _, release = self._line(timeout_s).partition(" ")
        if word != "READY":
            raise ConnectionError(f"the agent said {word!r}")
        return release

    def ask(self, script: str, timeout_s: int) -> Answer:
        """Run ``script`` by the guest's /bin/sh, and return what came of it."""
        request = base64.b64encode(script.encode()).decode()
        self._socket.sendall(f"{timeout_s} {request}\n".encode())
        status, stdout, stderr = self._line(timeout_s + _GRACE_S).split(" ")
        answer = Answer(int(status), _text(stdout), _text(stderr))
        if answer.status == _KILLED:
            return answer._replace(stderr=f"{answer.stderr}(killed, the limit is {timeout_s} s)\n")
        return answer

    def quit(self) -> None:
        """Ask the guest to power off."""
        self._socket.sendall(b"QUIT -\n")

    def close(self) -> None:
        """Close the channel."""
        self._socket.close()

    def _line(self, timeout_s: float) -> str:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._pending:
            readable, _, _ = select.select([self._socket], [], [], _TICK_S)
            received = self._socket.recv(1 << 16) if readable else b""
            self._pending += received
            if not received:
                self._check()
                if readable:
                    raise ConnectionError("the guest closed the channel")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer within {timeout_s} s")
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()


def _text(field: str) -> str:
    return base64.b64decode(field.removesuffix(".")).decode(errors="replace")
