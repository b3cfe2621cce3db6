"""The main job: run the pipeline, tell what it made."""

from collections.abc import Callable
from functools import partial

from rootrun import log
from rootrun.annotation import TYPE_CHECKING, Protocol
from rootrun.cli.parser import Options
from rootrun.cli.progress import make_progress
from rootrun.cli.report import print_result, write_result_files
from rootrun.cli.request import STDOUT, make_request
from rootrun.cli.terminal import terminal_modes_kept
from rootrun.progress import Progress
from rootrun.request import NetworkMode, Request
from rootrun.result import RunResult

if TYPE_CHECKING:
    from rootrun.cli.timings import Timings


class Job(Protocol):
    """What makes an image."""

    def __call__(self, *, progress: Progress) -> RunResult:
        """Make it, and return what it is."""


def run_main_job(options: Options) -> int:
    """Make the image that ``options`` ask for, and return the exit status."""
    return run_and_tell(options, make_request(options), _load)


def _load(request: Request) -> Job:
    # After the options are known to be good: a misspelt one is told in half the time.
    from rootrun import pipeline

    return partial(pipeline.run, request)


def run_and_tell(options: Options, request: Request, load: Callable[[Request], Job]) -> int:
    """Do the job that ``load`` returns, tell what it made as ``options`` say; return the status."""
    if request.sandbox.network is NetworkMode.HOST:
        log.info("network: host: what the script fetches may differ from run to run")
    progress = make_progress(options.progress, quiet=options.quiet > options.verbose)
    timings = _timings(progress) if options.timings else None
    job = load(request)
    if timings is not None:
        timings.ended("start")
    with terminal_modes_kept():
        result = job(progress=timings or progress)
    if timings is not None:
        timings.ended("clean up")
        timings.tell()
    write_result_files(
        result,
        iidfile=options.iidfile,
        digestfile=options.digestfile,
        metadata_file=options.metadata_file,
    )
    if request.output.path != STDOUT:
        told = None if timings is None else timings.to_json()
        print_result(result, as_json=options.json, timings=told)
    return 0


def _timings(listener: Progress) -> "Timings":
    from rootrun.cli.timings import Timings

    return Timings(listener)
