"""The order in which monitor and init are heard does not matter."""

import os
import sys

import pytest

from tests.sandbox.inside import run_inside

pytestmark = pytest.mark.userns


def _hear(kinds: list[str]) -> None:
    import select
    import signal

    from rootrun.sandbox.channel import open_channel
    from rootrun.sandbox.forking import fork_child
    from rootrun.sandbox.limits import Keeping
    from rootrun.sandbox.running import RunningContainer
    from rootrun.sandbox.spec import NO_LIMITS
    from rootrun.sandbox.wire import MessageReader, send

    container = RunningContainer(Keeping(limits=NO_LIMITS))
    container._channel, inner = open_channel(hands_over=False)
    container._reader = MessageReader(container._channel.status)
    container._monitor = fork_child(signal.pause)  # they only have to exist
    init = fork_child(signal.pause)
    poller = select.poll()
    poller.register(inner.go, select.POLLIN)
    for kind in kinds:
        send(inner.status, kind, *([init] if kind == "init" else []))
        container._take_messages()
        sys.stdout.write(f"{kind} {bool(poller.poll(0))} ")
    for pid in (container._monitor, init):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (["init", "ready"], "init False ready True "),
        (["ready", "init"], "ready False init True "),
    ],
)
def test_init_goes_on_once_it_is_held_and_ready(kinds: list[str], told: str) -> None:
    assert run_inside(_hear, kinds) == told
