"""Questions between the processes of the harness, and their answers.

A question is a packet: a JSON object with its ``task``, and descriptors, of which the last one is a
socket for the answers. These are messages as of ``sandbox.wire``, which may bring descriptors too.
"""

import json
import os
import select
import time
from collections.abc import Mapping, Sequence

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import MachineGoneError, MachineTimeoutError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.packets import open_packets, receive_packet, send_packet, socket_of
from rootrun.sandbox.serving import Request
from rootrun.sandbox.wire import Message, decode, encode, error_from, send_error

if TYPE_CHECKING:
    import _socket

CONTENT = "content"  # an answer with a file of JSON


class Answer(NamedTuple):
    """One message, with the descriptors that it brought: the receiver's to close."""

    message: Message
    descriptors: Sequence[int]


class Answers:
    """What comes back for one question. A context manager."""

    def __init__(self, fd: int) -> None:
        self._socket = socket_of(fd)

    def __enter__(self) -> "Answers":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is one, or the end (poll(2))."""
        return self._socket.fileno()

    def next(self, deadline_s: float | None, *, what: str) -> Answer | None:
        """Return the next one, None if there will be none.

        Raises what an answer says that went wrong; ``MachineTimeoutError``, about ``what``, where
        there is none until ``deadline_s`` (monotonic).
        """
        if not is_readable(self._socket.fileno(), deadline_s):
            raise MachineTimeoutError(f"{what}: no answer in time")
        try:
            content, descriptors = receive_packet(self._socket)
        except ConnectionResetError:  # the other side has gone with what we wrote unread
            return None
        if not content:
            return None
        message = decode(content)
        if message.kind == "error":
            raise error_from(message)
        return Answer(message, descriptors)

    def only(self, deadline_s: float | None, *, what: str) -> Answer:
        """Return the next one; raise ``MachineGoneError`` if there is none."""
        answer = self.next(deadline_s, what=what)
        if answer is None:
            raise MachineGoneError(f"{what}: the process that was asked has ended")
        return answer


def is_readable(fd: int, deadline_s: float | None) -> bool:
    """Wait until ``fd`` is readable; return False if ``deadline_s`` came first."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
    return bool(poller.poll(None if left_s is None else left_s * 1000))


def ask(
    asked: "_socket.socket",
    task: str,
    values: Mapping[str, object] | None = None,
    *,
    descriptors: Sequence[int] = (),
) -> Answers:
    """Ask who is at the other end of ``asked``; several threads may, at once."""
    receiver, sender = open_packets()
    content = packed({**(values or {}), "task": task})
    try:
        send_packet(asked, content, [*descriptors, sender])
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody will answer, as is seen then
    except BaseException:
        os.close(receiver)
        raise
    finally:
        os.close(sender)
    return Answers(receiver)


def packed(values: Mapping[str, object]) -> bytes:
    """Return the content of a question; text other than ASCII takes as much room as it has."""
    return json.dumps(values, ensure_ascii=False).encode(errors="surrogatepass")


def question_of(content: bytes, descriptors: Sequence[int]) -> Request:
    """Return the question that a packet holds; the caller closes its descriptors."""
    values = json.loads(content)
    *given, answer = descriptors
    return Request(str(values["task"]), values, given, answer)


def refuse_first(questions: int, error: BaseException, *, stage: str) -> None:
    """Answer the first question, which has come or comes soon, with what went wrong."""
    asker = socket_of(os.dup(questions))
    content, descriptors = receive_packet(asker)
    if content:
        send_error(descriptors[-1], error, stage=stage)
    asker.close()


def answer_with_content(answer: int, value: object) -> None:
    """Answer with ``value``, of whatever size, as JSON in a file without a name."""
    fd = os.memfd_create("answer")
    with open(fd, "wb", closefd=False) as file:
        file.write(json.dumps(value).encode())
    sender = socket_of(os.dup(answer))
    try:
        send_packet(sender, encode(CONTENT), [fd])
    finally:
        sender.close()
        os.close(fd)


def content_of(answer: Answer) -> object:
    """Return what ``answer_with_content`` was given."""
    [fd] = answer.descriptors
    with open(fd, "rb") as file:
        file.seek(0)
        value: object = json.load(file)
    return value
