"""The names of a machine's networks: its /etc/hosts (hosts(5)).

It is a file of the keeper's own, mounted over that of the image: no layer gets it. The machine may
write to it; what is between two lines of ours is made anew whenever somebody joins or leaves.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from rootrun.annotation import TYPE_CHECKING
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import send

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

PATH = "/etc/hosts"

_FILE = "hosts"  # in the keeper's scratch
_BEGIN, _END = "# networks of this machine:", "# end of its networks"
CONTENT = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


class Host(NamedTuple):
    """An address with its names."""

    address: str
    names: tuple[str, ...]


def lines_of(hosts: Iterable[Host]) -> str:
    """Return what /etc/hosts says about ``hosts``."""
    return "".join(f"{host.address} {' '.join(host.names)}\n" for host in hosts)


def with_networks(content: str, lines: str) -> str:
    """Return ``content`` of a hosts file with ``lines`` for the networks, in the place of ours."""
    before, begin, rest = content.partition(f"{_BEGIN}\n")
    _, end, after = rest.partition(f"{_END}\n")
    if not (begin and end):  # the machine has taken them away
        before, after = content, ""
    if before and not before.endswith("\n"):
        before += "\n"
    return f"{before}{_BEGIN}\n{lines}{_END}\n{after}"


def answer(keeper: "Keeper", question: Question) -> None:
    """Write the lines of ``question`` into the machine's hosts file."""
    file = keeper.scratch / _FILE
    if file.exists():
        _rewrite(file, question.text("lines"))
    send(question.answer, "done")


def _rewrite(file: Path, lines: str) -> None:
    # The same file, since it is mounted; at one go, since somebody may read it at any time.
    fd = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        with open(fd, "rb", closefd=False) as present:
            content = present.read().decode(errors="surrogateescape")
        new = with_networks(content, lines).encode(errors="surrogateescape")
        os.pwrite(fd, new, 0)
        os.ftruncate(fd, len(new))
    finally:
        os.close(fd)
