"""An image of a machine as it is."""

import os
import re
from pathlib import Path

from rootrun.dataclass import dataclass, field
from rootrun.errors import UsageError
from rootrun.image.compression import WRITABLE, Compression
from rootrun.image.edits import ConfigEdits
from rootrun.image.reference import (
    OutputReference,
    Transport,
    name_from_stems,
    parse_name,
    parse_output_reference,
    parse_tag,
)
from rootrun.namedtuple import NamedTuple
from rootrun.testing.asking import content_of
from rootrun.testing.link import MachineLink
from rootrun.testing.task_names import COMMIT

_OWNER = r"root|keep|[0-9]{1,10}:[0-9]{1,10}"
_STDOUT = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitOptions:
    """What is not as usual in a committed image; the names are those of rootrun(1)."""

    name: str | None = None  # None: that of the machine
    tag: str | None = None  # None: from the content
    owner: str = "keep"  # root, keep or UID:GID, of what changed
    timestamp: int = 1  # seconds since the epoch, of what changed
    created: str = "1970-01-01T00:00:01Z"  # RFC 3339
    compression: str = "none"  # of the new layer
    edits: ConfigEdits = field(default_factory=ConfigEdits)


class Committed(NamedTuple):
    """The new image, and its topmost layer."""

    image_id: str
    name: str
    tag: str
    diff_id: str
    size_bytes: int  # of the layer's blob
    entry_count: int
    losses: tuple[str, ...]  # what the layer does not keep of the change, in sentences


def commit(
    link: MachineLink,
    output: str | os.PathLike[str],
    options: CommitOptions,
    *,
    deadline_s: float,
) -> Committed:
    """Write an image of the machine to ``output``; see ``Machine.commit``."""
    values = _values(_output(os.fspath(output)), options, machine=link.name)
    answer = link.ask(COMMIT, values, deadline_s=deadline_s, what=f"commit machine {link.name}")
    told = content_of(answer)
    assert isinstance(told, dict)
    return Committed(**{**told, "losses": tuple(told["losses"])})


def _output(text: str) -> OutputReference:
    output = parse_output_reference(text)
    if output.path == _STDOUT:
        raise UsageError("commit: '-': standard output is not possible here")
    return output


def _values(output: OutputReference, options: CommitOptions, *, machine: str) -> dict[str, object]:
    if not re.fullmatch(_OWNER, options.owner):
        raise UsageError(f"commit: owner: {options.owner!r}: not root, keep or UID:GID")
    if options.compression not in {each.value for each in WRITABLE}:
        raise UsageError(f"commit: compression: {options.compression!r}: is not written")
    name, tag = options.name, options.tag
    if output.ref and output.transport is Transport.DOCKER_ARCHIVE:
        own_name, _, own_tag = output.ref.rpartition(":")
        name, tag = name or own_name, tag or own_tag
    return {
        "transport": output.transport.value,
        "path": os.path.abspath(output.path),
        "ref": output.ref,
        "name": parse_name(name) if name else name_from_stems(machine, None),
        "tag": parse_tag(tag) if tag else None,
        "owner": options.owner,
        "mtime_s": options.timestamp,
        "created": options.created,
        "compression": Compression(options.compression).value,
        "edits": {name: getattr(options.edits, name) for name in ConfigEdits.__slots__},
    }
