"""Reading and writing what a process has at an address."""

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator

import pytest

from rootrun.sandbox.process_memory import read_memory, read_path, write_memory

_PAGE = mmap.PAGESIZE
_READ_ONLY = 1  # PROT_READ

_libc = ctypes.CDLL(None)
_libc.mprotect.argtypes = [ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]


@pytest.fixture
def hole() -> Iterator[int]:
    """Two pages are there before this address; at it there is nothing."""
    mapping = mmap.mmap(-1, 3 * _PAGE)
    mapping.write(b"x" * 3 * _PAGE)
    anchor = ctypes.c_char.from_buffer(mapping)
    address = ctypes.addressof(anchor) + 2 * _PAGE
    assert _libc.mprotect(address, _PAGE, 0) == 0
    try:
        yield address
    finally:
        del anchor
        mapping.close()


def test_path_ends_at_its_nul_beside_a_hole(hole: int) -> None:
    write_memory(os.getpid(), hole - 9, b"etc/motd\0")
    assert read_path(os.getpid(), hole - 9) == b"etc/motd"


def test_path_may_go_on_in_the_next_page(hole: int) -> None:
    write_memory(os.getpid(), hole - _PAGE - 4, b"/usr/bin\0")
    assert read_path(os.getpid(), hole - _PAGE - 4) == b"/usr/bin"


def test_path_that_runs_into_a_hole_is_a_fault(hole: int) -> None:
    with pytest.raises(OSError, match="Bad address") as caught:
        read_path(os.getpid(), hole - 5)
    assert caught.value.errno == errno.EFAULT


@pytest.mark.parametrize(("length", "fits"), [(4095, True), (4096, False)])
def test_path_has_4096_bytes_at_most(length: int, fits: bool, hole: int) -> None:
    start = hole - length - 1
    write_memory(os.getpid(), start, b"n" * length + b"\0")
    if fits:
        assert read_path(os.getpid(), start) == b"n" * length
        return
    with pytest.raises(OSError, match="File name too long"):
        read_path(os.getpid(), start)


@pytest.mark.parametrize("address", [0, 2**64 - 8, 2**63], ids=["null", "end", "middle"])
def test_wild_address_is_a_fault(address: int) -> None:
    with pytest.raises(OSError, match="process_vm_readv: Bad address"):
        read_memory(os.getpid(), address, 8)
    with pytest.raises(OSError, match="process_vm_readv: Bad address"):
        read_path(os.getpid(), address)
    with pytest.raises(OSError, match="process_vm_writev: Bad address"):
        write_memory(os.getpid(), address, b"12345678")


def test_part_of_what_was_asked_for_is_a_fault(hole: int) -> None:
    assert read_memory(os.getpid(), hole - 4, 4) == b"xxxx"
    with pytest.raises(OSError, match="Bad address"):
        read_memory(os.getpid(), hole - 4, 8)
    with pytest.raises(OSError, match="Bad address"):
        write_memory(os.getpid(), hole - 4, b"12345678")


def test_read_only_pages_are_not_written(hole: int) -> None:
    assert _libc.mprotect(hole - 2 * _PAGE, _PAGE, _READ_ONLY) == 0
    with pytest.raises(OSError, match="Bad address"):
        write_memory(os.getpid(), hole - 2 * _PAGE, b"y")
    assert read_memory(os.getpid(), hole - 2 * _PAGE, 1) == b"x"


def test_process_that_is_gone_is_told_apart() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    with pytest.raises(ProcessLookupError):
        read_memory(pid, 4096, 1)
