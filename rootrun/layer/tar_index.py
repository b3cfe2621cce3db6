"""The members of a tar that is a file: where each one's content is."""

import os

from rootrun.errors import LayerError
from rootrun.layer.header import BLOCK_BYTES
from rootrun.layer.member import padded, read_member
from rootrun.layer.names import clean_name
from rootrun.layer.source import FileSource
from rootrun.namedtuple import NamedTuple

# 65536 members with short names, and an image has thousands: the index is held in memory.
_MAX_INDEX_BYTES = 32 << 20


class TarMember(NamedTuple):
    """One member; ``size_bytes`` of content are at ``offset`` of the file.

    ``name`` has no leading ``/`` or ``./`` and may hold ``..``; ``link_target`` is
    verbatim. ``type_flag`` is one of ``0`` to ``6``.
    """

    name: str
    offset: int
    size_bytes: int
    type_flag: bytes
    link_target: str


def index_tar(fd: int, size: int) -> list[TarMember]:
    """Return the members of the tar in ``fd``, a file of ``size`` bytes, in their order.

    Reads headers only and leaves the offset of ``fd`` alone. Raises LayerError for
    what is no tar, for a truncated one, for sparse members, whose content is not in
    one place, and for more members than an image can have.
    """
    source = FileSource(fd, size)
    left_bytes = _MAX_INDEX_BYTES
    members = []
    while (member := read_member(source)) is not None:
        body = member.body
        left_bytes -= BLOCK_BYTES + len(member.name) + len(member.link_name)
        if left_bytes < 0:
            raise LayerError("read tar: has more members, or longer names, than an image can have")
        name = clean_name(member.name)
        if body.parts is not None:
            raise LayerError(f"read tar: {name!r}: is stored as a sparse file")
        target = os.fsdecode(member.link_name)
        members.append(TarMember(name, source.offset, body.stored_bytes, body.type_flag, target))
        source.skip(body.stored_bytes)
        source.skip(min(padded(body.stored_bytes) - body.stored_bytes, size - source.offset))
    return members
