"""The main job: run the pipeline, tell what it made."""

from rootrun import log
from rootrun.annotation import TYPE_CHECKING
from rootrun.cli.parser import Options
from rootrun.cli.progress import make_progress
from rootrun.cli.report import print_result, write_result_files
from rootrun.cli.request import STDOUT, make_request
from rootrun.cli.terminal import terminal_modes_kept
from rootrun.progress import Progress
from rootrun.request import NetworkMode

if TYPE_CHECKING:
    from rootrun.cli.timings import Timings


def run_main_job(options: Options) -> int:
    """Make the image that ``options`` ask for, and return the exit status."""
    request = make_request(options)
    if request.sandbox.network is NetworkMode.HOST:
        log.info("network: host: what the script fetches may differ from run to run")
    progress = make_progress(options.progress, quiet=options.quiet > options.verbose)
    timings = _timings(progress) if options.timings else None
    # After the options are known to be good: a misspelt one is told in half the time.
    from rootrun import pipeline

    if timings is not None:
        timings.ended("start")
    with terminal_modes_kept():
        result = pipeline.run(request, progress=timings or progress)
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
