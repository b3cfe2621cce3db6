"""Fuzzing without atheris: hypothesis mutates the seeds, and makes what it finds small."""

import random
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from tests.fuzz.found import Judge
from tests.fuzz.targets import Target

_BATCH = 100
_PIECES = st.one_of(
    st.binary(min_size=1, max_size=8),
    st.sampled_from([b"\0", b"\xff" * 8, b"9" * 12, b"/../", b"\n", b'"', b"[" * 2000, b"{}"]),
)


@st.composite
def _mutated(draw: st.DrawFn, target: Target, seeds: list[bytes]) -> bytes:
    """Return one of ``seeds`` varied, or with pieces replaced, put in, cut out or repeated."""
    content = draw(st.sampled_from(seeds))
    if target.vary is not None:
        for number in draw(st.lists(st.integers(0, 1 << 20), max_size=2)):
            content = target.vary(content, random.Random(number))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from([0, 1, 8, 512, 1 << 16])))
        piece = content[start:end] * 2 if draw(st.booleans()) else draw(_PIECES)
        content = content[:start] + piece + content[end:]
    return content


def fuzz(judge: Judge, directory: Path, *, seconds: int, runs: int, seed: int) -> None:
    """Try mutated seeds until one limit is reached (0 seconds, -1 runs: none)."""
    seeds = list(judge.target.seeds())
    deadline_s = time.monotonic() + seconds
    while (not seconds or time.monotonic() < deadline_s) and not 0 <= runs <= judge.inputs:
        _fuzz_batch(judge, directory, seeds, seed=seed)
        seed += 1
    sys.stdout.write(f"stat::number_of_executed_units: {judge.inputs}\n")  # as libFuzzer says it


def _fuzz_batch(judge: Judge, directory: Path, seeds: list[bytes], *, seed: int) -> None:
    @seeded(seed)
    @settings(
        max_examples=_BATCH,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(content=_mutated(judge.target, seeds))
    def check(content: bytes) -> None:
        try:
            judge.try_input(content)
        except Exception:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "finding-plain").write_bytes(content)  # the last one is the smallest
            raise

    check()
