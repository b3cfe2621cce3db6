"""``rootrun export``: the merged tree of an image as a tar or a directory."""

from pathlib import Path

from rootrun.cli.parser import Options
from rootrun.cli.progress import make_progress
from rootrun.cli.request import STDOUT, check_no_terminal, scratch_from, timestamp_s
from rootrun.errors import UsageError
from rootrun.image.compression import Compression
from rootrun.image.reference import reference_stem
from rootrun.request import ExportRequest, Sandbox

_DIRECTORY = "dir:"


def run_export(options: Options) -> int:
    """Export the image that ``options`` name, and return the exit status."""
    request = make_export_request(options)
    from rootrun.compose.export import export_image

    progress = make_progress(options.progress, quiet=options.quiet > options.verbose)
    export_image(request, progress=progress)
    return 0


def make_export_request(options: Options) -> ExportRequest:
    """Return what ``options`` ask for; raise UsageError for what cannot be."""
    text = options.export_to
    if text is None:
        text = f"{reference_stem(options.image) or 'stdin'}-rootfs.tar"
    is_directory = text.startswith(_DIRECTORY)
    path = text.removeprefix(_DIRECTORY)
    if not path:
        raise UsageError(f"--output: {text!r}: an empty path")
    compression = Compression(options.compression)
    if is_directory and compression is not Compression.NONE:
        raise UsageError(f"--compression: {compression.value}: not possible with a directory")
    output = Path(path)
    if output == STDOUT and not is_directory:
        check_no_terminal("--output")
    return ExportRequest(
        image=options.image,
        image_ref=options.from_ref,
        architecture=options.arch,
        output=output,
        is_directory=is_directory,
        mtime_s=timestamp_s(options.timestamp),
        compression=compression,
        sandbox=Sandbox(id_map=options.idmap, rootfs=options.rootfs),
        scratch=scratch_from(options, keep=False),
    )
