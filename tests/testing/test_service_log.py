"""What is kept of the output of a service."""

import os
from pathlib import Path

from rootrun.testing.service_log import ServiceLog


def test_oldest_is_dropped_in_halves_and_counted(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path, 1, longest_bytes=20)
    for number in range(9):
        log.append(b"line%d" % number)
    assert _content(log) == b"line6line7line8"
    assert log.total_bytes == 45
    assert log.dropped_bytes + len(_content(log)) == log.total_bytes
    assert log.tail().endswith("line7line8")


def test_what_finds_no_room_is_counted(tmp_path: Path) -> None:
    log = ServiceLog(tmp_path / "missing", 1)
    log.append(b"lost")
    assert (log.total_bytes, log.dropped_bytes) == (4, 4)
    assert log.open() == []
    assert log.tail() == ""


def test_log_holds_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    log = ServiceLog(tmp_path, 1)
    log.append(b"text")
    assert log.tail() == "text"
    assert len(os.listdir("/proc/self/fd")) == before


def _content(log: ServiceLog) -> bytes:
    content = b""
    for fd in log.open():
        with open(fd, "rb") as file:
            content += file.read()
    return content
