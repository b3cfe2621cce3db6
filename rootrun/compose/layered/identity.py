"""What a layer of a store is made of, as far as can be told without reading a file."""

import os
import time
from hashlib import sha256

from rootrun.compose.layered.layer_plan import Store, StoreLayer, changes_of
from rootrun.layer.header import header_bytes
from rootrun.namedtuple import NamedTuple

_RACY_NS = 1_000_000_000  # a later write could leave the same coarse time (store/verified.py)


class Identity(NamedTuple):
    """A digest that is the same as long as the layer is; ``is_settled`` if it can be relied on."""

    key: str
    is_settled: bool


def identity_of(layer: StoreLayer, store: Store) -> Identity:
    """Return what ``layer`` is made of: its headers, and of each file what stat(2) says of it."""
    digest = sha256()
    newest_ns = 0
    for found, change in changes_of(layer, store):
        digest.update(header_bytes(change.entry))
        if found is not None:
            status = found.status
            newest_ns = max(newest_ns, status.st_mtime_ns, status.st_ctime_ns)
            digest.update(_stamp(status))
    return Identity(digest.hexdigest(), time.time_ns() - newest_ns > _RACY_NS)


def _stamp(status: os.stat_result) -> bytes:
    return b"%d:%d:%d:%d:%d\n" % (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
