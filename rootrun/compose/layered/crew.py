"""Work that is many pieces, done by as many children as there are processors."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from rootrun.sandbox.child import run_in_child

_NUMBER_BYTES = 4
_CHUNK_BYTES = 1 << 16
_PIPE_BYTES = 1 << 16


def done_by_crew(count: int, work: Callable[[int], str], *, name: str) -> Iterator[str]:
    """Yield what ``work`` says of each number below ``count``, in their order, as it comes.

    The numbers are taken in that order by forked children, so that what ``work`` changes in memory
    is lost; what it says is a line of less than 4 KiB. Raises the RootrunError of a child.
    """
    workers = min(count, len(os.sched_getaffinity(0)))
    if workers <= 1:
        yield from map(work, range(count))
        return
    with ExitStack() as cleanup:
        queue = _queue_of(count)
        cleanup.callback(os.close, queue)
        reader, writer = os.pipe()
        cleanup.callback(os.close, reader)

        def take() -> None:
            # Each read(2) of the pipe takes a number for all.
            while number := os.read(queue, _NUMBER_BYTES):
                done = int.from_bytes(number, "big")
                os.write(writer, f"{done} {work(done)}\n".encode())  # PIPE_BUF: in one piece

        try:
            tasks = [cleanup.enter_context(run_in_child(take, name=name)) for _ in range(workers)]
        finally:
            os.close(writer)
        yield from _in_order(reader)
        for task in tasks:
            task.wait()


def _queue_of(count: int) -> int:
    """Return a pipe with the numbers below ``count``.

    No file: of one without a name, as memfd_create(2) makes it, two readers can get the same bytes,
    since only open(2) has the kernel guard the offset.
    """
    numbers = b"".join(number.to_bytes(_NUMBER_BYTES, "big") for number in range(count))
    reader, writer = os.pipe()
    if len(numbers) > _PIPE_BYTES:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, len(numbers))
    with open(writer, "wb", buffering=0) as pipe:
        pipe.write(numbers)
    return reader


def _in_order(reader: int) -> Iterator[str]:
    """Yield what was said of 0, 1 and so on, until nobody says more."""
    said: dict[int, str] = {}
    expected, rest = 0, b""
    while content := os.read(reader, _CHUNK_BYTES):
        *lines, rest = (rest + content).split(b"\n")
        for line in lines:
            number, _, text = line.decode().partition(" ")
            said[int(number)] = text
        while expected in said:
            yield said.pop(expected)
            expected += 1
