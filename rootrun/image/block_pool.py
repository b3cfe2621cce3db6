"""Threads that compress blocks at the same time; what comes of them keeps its order.

zlib, zstd and the hashes let go of the interpreter while they work, so that threads are enough.
"""

import os
import signal
from collections import deque
from collections.abc import Callable

from rootrun.annotation import TYPE_CHECKING
from rootrun.namedtuple import NamedTuple

if TYPE_CHECKING:
    from queue import SimpleQueue
    from threading import Thread

_WAITING = 2  # calls for the thread that ends first


class PackedBlock(NamedTuple):
    """A block as it stands in the blob; ``key`` names its content, or is empty."""

    key: bytes
    content: bytes


class BlockPool:
    """Calls functions in ``thread_count`` threads; with 0 it calls them itself.

    The threads start with the first call and are gone after ``close``, which must come before
    this process forks: a child would have the locks of the threads, but not the threads.
    """

    def __init__(self, thread_count: int) -> None:
        self._wanted = thread_count
        self._threads: list[Thread] = []
        self._calls: SimpleQueue[_Call | None] | None = None
        self._under_way: deque[_Call] = deque()

    def submit(self, function: Callable[[], PackedBlock]) -> None:
        """Have ``function`` called, once."""
        # Not at the head of the module: a blob of one block does without.
        from queue import SimpleQueue

        if self._calls is None:
            self._calls = SimpleQueue()
            self._start(self._calls)
        call = _Call(function, SimpleQueue())
        self._under_way.append(call)
        if self._threads:
            self._calls.put(call)

    def results(self, *, left: int | None = None) -> list[PackedBlock]:
        """Wait until so many calls are ``left``; return the rest.

        Unless told, as many as keep the threads busy. What a function raised is raised here.
        """
        limit = left
        if limit is None:
            limit = len(self._threads) + _WAITING if self._threads else 0
        return [self._next() for _ in range(len(self._under_way) - limit)]

    def close(self) -> None:
        """Wait for the threads to end; what they have not begun is not done."""
        if self._calls is not None:
            while not self._calls.empty():
                _take(self._calls)
            for _ in self._threads:
                self._calls.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._under_way.clear()

    def _start(self, calls: "SimpleQueue[_Call | None]") -> None:
        from threading import Thread

        # A thread starts with this mask: signals are for the main thread, which may be waiting.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            for _ in range(self._wanted):
                thread = Thread(target=_work, args=(calls,), daemon=True)
                thread.start()
                self._threads.append(thread)
        except RuntimeError:
            pass  # RLIMIT_NPROC, pids.max: those that are there do
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _next(self) -> PackedBlock:
        call = self._under_way.popleft()
        if not self._threads:
            return call.function()
        result = call.answer.get()
        if isinstance(result, BaseException):
            raise result
        return result


def usable_processors() -> int:
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0))


class _Call(NamedTuple):
    function: Callable[[], PackedBlock]
    answer: "SimpleQueue[PackedBlock | BaseException]"


def _work(calls: "SimpleQueue[_Call | None]") -> None:
    while (call := calls.get()) is not None:
        try:
            call.answer.put(call.function())
        except BaseException as error:
            call.answer.put(error)


def _take(calls: "SimpleQueue[_Call | None]") -> None:
    from queue import Empty

    try:
        calls.get_nowait()
    except Empty:
        return  # a thread was faster
