"""What is fuzzed: each reader of what others wrote, as a function of bytes.

A target returns, or raises what it may refuse its input with. Anything else that comes out of it
is a finding, and so is an input that takes long, much memory or a descriptor.
"""

import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

from rootrun.errors import RootrunError
from tests.fuzz import documents, seeds, tars, texts


def _as_it_is(content: bytes) -> bytes:
    return content


class Target(NamedTuple):
    """``repair`` makes the checksums of an input right: mutations would all stop at them.

    ``vary`` mutates it with a knowledge of its form; bytes that change would rarely keep that.
    """

    take: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    repair: Callable[[bytes], bytes] = _as_it_is
    vary: Callable[[bytes, random.Random], bytes] | None = None
    refusals: tuple[type[Exception], ...] = (RootrunError,)
    most_bytes: int = 1 << 16  # of an input
    most_processor_s: float = 5.0  # of an input: instrumented, a right one takes milliseconds


TARGETS = {
    "layer": Target(tars.take_layer, seeds.layers, tars.with_right_checksums),
    "unpack": Target(tars.take_unpack, seeds.layers, tars.with_right_checksums),
    "archive": Target(tars.take_archive, seeds.archives, tars.with_right_checksums),
    "compression": Target(tars.take_compressed, seeds.compressed_contents),
    "documents": Target(documents.take_documents, seeds.documents, vary=documents.with_odd_value),
    "cache": Target(
        documents.take_cache_files,
        seeds.cache_files,
        documents.with_right_checksum,
        vary=documents.with_odd_value,
    ),
    "config": Target(
        documents.take_config_option,
        seeds.config_options,
        vary=documents.with_odd_value,
        refusals=(RootrunError, ValueError),
    ),
    "reference": Target(texts.take_reference, seeds.references, most_bytes=1 << 10),
}
"""By name. ``config`` is the value of ``--config``; values of options are refused by ValueError."""
