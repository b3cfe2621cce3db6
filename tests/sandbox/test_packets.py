"""Packets with descriptors between processes."""

from tests.support.program import run_python

_PRELUDE = """
import os, resource
from rootrun.errors import SandboxError
from rootrun.sandbox.packets import *
receiving, sending = map(socket_of, open_packets())
"""


def _said(source: str) -> str:
    done = run_python(_PRELUDE + source)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_packet_brings_its_descriptors() -> None:
    source = """
reader, writer = os.pipe()
send_packet(sending, b"here", [writer])
content, [received] = receive_packet(receiving)
os.write(received, b"through")
print(content, os.read(reader, 9), os.get_inheritable(received))
sending.close()
print(receive_packet(receiving))
"""
    assert _said(source) == "b'here' b'through' False\n(b'', [])\n"


def test_packet_is_refused_where_its_descriptors_have_no_room() -> None:
    source = """
send_packet(sending, b"here", [0, 1])
count = max(map(int, os.listdir("/proc/self/fd")))
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 1, count + 1))
try: receive_packet(receiving)
except SandboxError as error: print(error)
"""
    assert _said(source) == "receive a packet: Too many open files\n"


def test_packet_that_is_too_long_is_not_sent() -> None:
    source = """
try: send_packet(sending, b"x" * (LONGEST_PACKET + 1))
except SandboxError as error: print(error)
"""
    assert _said(source) == "ask a machine: 180001 bytes: more than 180000\n"
