"""Fuzz one target in this process, which ends with the first finding: started by ``tests.fuzz``.

atheris, where it is installed, sees which code an input reaches; else hypothesis mutates the seeds.
"""

import argparse
import os
import random
import resource
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.fuzz.found import Judge

_MOST_MEMORY_BYTES = 1 << 30  # more than at the start: two decoders' limits, and the corpus
_MOST_FILE_BYTES = 64 << 20
_HANGS_AFTER_S = 60  # wall time; processor time is limited before
_FINDING = "finding-"


class _Atheris(Protocol):
    """What is used of the module."""

    def instrument_imports(self, include: list[str]) -> AbstractContextManager[object]: ...

    def Setup(  # noqa: N802
        self,
        argv: list[str],
        test_one_input: Callable[[bytes], None],
        *,
        custom_mutator: Callable[[bytes, int, int], bytes],
    ) -> None: ...

    def Mutate(self, content: bytes, size: int) -> bytes: ...  # noqa: N802

    def Fuzz(self) -> None: ...  # noqa: N802


def main() -> int:
    """Fuzz as the command line says, and return 0 if nothing was found."""
    options = _options()
    _limit()
    atheris = None if options.plain else _atheris()
    with atheris.instrument_imports(include=["rootrun"]) if atheris else nullcontext():
        from tests.fuzz.found import Judge  # and with it all of rootrun that is fuzzed
    judge = Judge(options.target)
    if atheris is not None:
        _run_atheris(atheris, judge, options)  # exits
    elif options.input:
        judge.try_input(options.input.read_bytes())
    else:
        from tests.fuzz.plain import fuzz

        fuzz(judge, options.directory, seconds=options.seconds, runs=options.runs,
             seed=options.seed)  # fmt: skip
    return 0


def _run_atheris(atheris: _Atheris, judge: "Judge", options: argparse.Namespace) -> None:
    corpus = options.directory / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(judge.target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = [
        sys.argv[0],
        f"-max_total_time={options.seconds}",
        f"-runs={options.runs}",
        f"-seed={options.seed}",
        f"-max_len={judge.target.most_bytes}",
        f"-timeout={_HANGS_AFTER_S}",
        "-handle_xfsz=0",  # else its handler takes the error that a limit is
        "-rss_limit_mb=0",  # RLIMIT_AS is the limit: it stops the input that does it
        "-len_control=0",
        "-print_final_stats=1",
        f"-artifact_prefix={options.directory / _FINDING}",
        os.fspath(options.input or corpus),
    ]

    def mutate(content: bytes, most_bytes: int, seed: int) -> bytes:
        if judge.target.vary is None or seed % 2:
            return atheris.Mutate(content, most_bytes)
        return judge.target.vary(content, random.Random(seed))[:most_bytes]

    atheris.Setup(arguments, judge.try_input, custom_mutator=mutate)
    atheris.Fuzz()


def _atheris() -> _Atheris | None:
    try:
        module: _Atheris = import_module("atheris")
    except ImportError:
        return None
    return module


def _limit() -> None:
    used_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit_bytes = used_bytes + _MOST_MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_FILE_BYTES, _MOST_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("directory", type=Path, help="of the corpus and of findings")
    parser.add_argument("--seconds", type=int, default=0, help="0: no limit")
    parser.add_argument("--runs", type=int, default=-1, help="-1: no limit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", type=Path, help="try this one alone")
    parser.add_argument("--plain", action="store_true", help="without atheris")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
