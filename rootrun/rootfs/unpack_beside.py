"""Layers unpacked side by side, each in a child: none needs another one to be there."""

import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rootrun.errors import RootrunError
from rootrun.image.compression import Compression
from rootrun.image.digest import Digest
from rootrun.image.image import Layer
from rootrun.progress import Progress
from rootrun.sandbox.child import ChildTask, run_in_child
from rootrun.sandbox.cores import available_cores
from rootrun.sandbox.wire import MessageReader, send

Unpack = Callable[[Layer, Callable[[int], None]], Digest | None]
"""Puts a layer into the cache, and tells how much of the blob was read since it last did.

Returns the digest of the blob; None if it was not read, since another run was faster.
"""

_PACKED_SHARE = 3  # of what it unpacks to a blob takes this part
_WORTH_BYTES = 4 << 20  # to unpack takes longer than to start a process
_TELLING_BYTES = 4 << 20
_TOLD, _UNPACKED = "told", "unpacked"  # kinds of messages


class _Failure(Exception):
    """A layer could not be unpacked; ``error`` says why."""

    def __init__(self, layer: Layer, error: RootrunError) -> None:
        super().__init__()
        self.layer = layer
        self.error = error


def unpack_beside(
    layers: Sequence[Layer], unpack: Unpack, *, progress: Progress
) -> dict[int, Digest]:
    """Unpack those of ``layers`` for which it pays, largest first, one on each core.

    Returns the digests of the blobs that were read, by the positions of the layers. Where there is
    one core, or one layer that takes long, there is nothing to divide, and nothing is done. Raises
    what ``unpack`` does for the first layer in order that fails; the others are ended then, and
    may leave in the cache what they began.
    """
    worth = sorted(filter(_is_worth_it, layers), key=_work_of, reverse=True)
    at_once = min(len(worth), available_cores()) if len(worth) > 1 else 1
    if at_once == 1:
        return {}
    name, size_bytes = f"unpacking {len(worth)} layers", sum(x.blob.size_bytes for x in worth)
    with progress.stage(name, size_bytes) as advance, ExitStack() as cleanup:
        # What all children need: so it is loaded once.
        import rootrun.layer.apply
        import rootrun.rootfs.marked  # noqa: F401

        team = _Team(unpack, cleanup, advance)
        team.work(worth, at_once=at_once)
    for layer, wall_s in team.walls_s:
        progress.ran_beside(f"unpack layer {layer.position}", wall_s)
    return team.digests


class _Team:
    """The children, and what they tell."""

    def __init__(self, unpack: Unpack, cleanup: ExitStack, advance: Callable[[int], None]) -> None:
        self.digests: dict[int, Digest] = {}
        self.walls_s: list[tuple[Layer, float]] = []
        self._unpack = unpack
        self._cleanup = cleanup
        self._advance = advance
        reader, self._writer = cleanup.enter_context(_pipe())
        self._news = MessageReader(reader)
        self._poller = select.poll()
        self._poller.register(reader, select.POLLIN)
        self._running: dict[int, tuple[Layer, ChildTask, ExitStack]] = {}

    def work(self, layers: Sequence[Layer], *, at_once: int) -> None:
        """Unpack ``layers`` in this order, ``at_once`` of them at a time."""
        waiting = list(layers)
        failure: _Failure | None = None
        while waiting or self._running:
            while waiting and len(self._running) < at_once:
                self._start(waiting.pop(0))
            try:
                self._listen(timeout_ms=None)
            except _Failure as one:
                # What is told does not depend on who was faster: those below may fail as well.
                failure, position = one, one.layer.position
                waiting = [layer for layer in waiting if layer.position < position]
                self._end_those_above(position)
        if failure is not None:
            raise failure.error
        while self._listen(timeout_ms=0):
            pass

    def _start(self, layer: Layer) -> None:
        def unpack() -> None:
            with _telling(self._writer) as advance:
                digest = self._unpack(layer, advance)
            if digest is not None:
                send(self._writer, _UNPACKED, layer.position, digest)

        ending = self._cleanup.enter_context(ExitStack())
        task = ending.enter_context(run_in_child(unpack, name=f"unpack {layer.where}"))
        self._running[task.fileno()] = layer, task, ending
        self._poller.register(task, select.POLLIN)

    def _listen(self, *, timeout_ms: int | None) -> bool:
        """Wait for news and take them in; say whether there were any."""
        ready = [descriptor for descriptor, _ in self._poller.poll(timeout_ms)]
        for descriptor in ready:
            if descriptor not in self._running:
                self._take_news()
        for descriptor in ready:
            if descriptor in self._running:
                self._take_end(descriptor)
        return bool(ready)

    def _take_news(self) -> None:
        for message in self._news.read():
            number, *digest = message.values
            if message.kind == _TOLD:
                self._advance(int(number or 0))
            else:
                self.digests[int(number or 0)] = Digest(str(digest[0]))

    def _take_end(self, descriptor: int) -> None:
        layer, task, _ = self._running[descriptor]
        try:
            task.wait()
        except RootrunError as error:
            raise _Failure(layer, error) from error
        finally:
            self._forget(descriptor)
        self.walls_s.append((layer, task.wall_s))

    def _end_those_above(self, position: int) -> None:
        for descriptor, (layer, _, _) in list(self._running.items()):
            if layer.position > position:
                self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        self._poller.unregister(descriptor)
        _, _, ending = self._running.pop(descriptor)
        ending.close()


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


@contextmanager
def _telling(writer: int) -> Iterator[Callable[[int], None]]:
    """Give a function that tells of bytes, not of each few; at the end what is left is told."""
    untold = 0

    def advance(count: int) -> None:
        nonlocal untold
        untold += count
        if untold >= _TELLING_BYTES:
            send(writer, _TOLD, untold)
            untold = 0

    yield advance
    send(writer, _TOLD, untold)


def _work_of(layer: Layer) -> int:
    """Return about how many bytes ``layer`` unpacks to."""
    is_plain = layer.compression is Compression.NONE
    return layer.blob.size_bytes * (1 if is_plain else _PACKED_SHARE)


def _is_worth_it(layer: Layer) -> bool:
    return _work_of(layer) >= _WORTH_BYTES
