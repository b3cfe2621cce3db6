"""Files of a machine, read and written from outside of it."""

import os

from rootrun.testing.link import MachineLink


def read_bytes(link: MachineLink, path: str) -> bytes:
    """Return the content of a file, as root of the machine sees it."""
    with open(link.open(path, os.O_RDONLY), "rb") as file:
        return file.read()


def write_bytes(link: MachineLink, path: str, content: bytes, *, mode: int) -> None:
    """Write a file, of ``mode`` if it is new; the directory must be there."""
    with open(link.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
