"""The main job: run the pipeline, tell what it made."""

import logging

from rootrun.cli.parser import Options
from rootrun.cli.progress import make_progress
from rootrun.cli.report import print_result, write_result_files
from rootrun.cli.request import STDOUT, make_request
from rootrun.cli.terminal import terminal_modes_kept
from rootrun.request import NetworkMode

log = logging.getLogger(__name__)


def run_main_job(options: Options) -> int:
    """Make the image that ``options`` ask for, and return the exit status."""
    request = make_request(options)
    if request.sandbox.network is NetworkMode.HOST:
        log.info("network: host: what the script fetches may differ from run to run")
    # After the options are known to be good: a misspelt one is told in half the time.
    from rootrun import pipeline

    progress = make_progress(options.progress, quiet=options.quiet > options.verbose)
    with terminal_modes_kept():
        result = pipeline.run(request, progress=progress)
    write_result_files(
        result,
        iidfile=options.iidfile,
        digestfile=options.digestfile,
        metadata_file=options.metadata_file,
    )
    if request.output.path != STDOUT:
        print_result(result, as_json=options.json)
    return 0
