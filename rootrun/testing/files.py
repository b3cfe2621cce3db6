"""Files of a machine, read and written from outside of it."""

import os

from rootrun.errors import UsageError
from rootrun.testing.link import MachineLink
from rootrun.testing.task_names import COPY_IN, COPY_OUT


def read_bytes(link: MachineLink, path: str) -> bytes:
    """Return the content of a file, as root of the machine sees it."""
    with open(link.open(path, os.O_RDONLY), "rb") as file:
        return file.read()


def write_bytes(link: MachineLink, path: str, content: bytes, *, mode: int) -> None:
    """Write a file, of ``mode`` if it is new; the directory must be there."""
    with open(link.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)


def copy_to(
    link: MachineLink, source: str | os.PathLike[str], destination: str, *, deadline_s: float
) -> None:
    """Copy what is at ``source`` of the host into the machine; see ``Machine.copy_to``."""
    path = os.path.abspath(source)
    if not os.path.exists(path):
        raise UsageError(f"copy: {os.fspath(source)!r}: No such file or directory")
    _copy(link, COPY_IN, {"source": path, "destination": destination}, deadline_s=deadline_s)


def copy_from(
    link: MachineLink, source: str, destination: str | os.PathLike[str], *, deadline_s: float
) -> None:
    """Copy what is at ``source`` of the machine to the host; see ``Machine.copy_from``."""
    to = os.path.abspath(destination)
    _copy(link, COPY_OUT, {"source": source, "destination": to}, deadline_s=deadline_s)


def _copy(link: MachineLink, task: str, values: dict[str, object], *, deadline_s: float) -> None:
    what = f"{link.name}: copy {values['source']}"
    # Of a machine that is up, the root with all that is mounted in it.
    descriptors = [link.open("/", os.O_RDONLY | os.O_DIRECTORY)] if link.is_up() else []
    try:
        link.ask(task, values, deadline_s=deadline_s, what=what, descriptors=descriptors)
    finally:
        for fd in descriptors:
            os.close(fd)
