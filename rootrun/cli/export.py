"""``rootrun export``: the merged tree of an image as a tar or a directory."""

import os
from pathlib import Path

from rootrun.cli.parser import Options
from rootrun.cli.request import STDOUT, check_no_terminal, scratch_from, timestamp_s
from rootrun.errors import UsageError
from rootrun.image.compression import Compression
from rootrun.image.reference import reference_stem
from rootrun.request import ExportRequest, Sandbox


def run_export(options: Options) -> int:
    """Export the image that ``options`` name, and return the exit status."""
    request = make_export_request(options)
    from rootrun.compose.export import export_image

    export_image(request)
    return 0


def make_export_request(options: Options) -> ExportRequest:
    """Return what ``options`` ask for; raise UsageError for what cannot be.

    An output is a directory to fill if it is one, or ends in a slash.
    """
    text = options.export_to
    if text is None:
        text = f"{reference_stem(options.image) or 'stdin'}-rootfs.tar"
    if not text:
        raise UsageError("--output: '': an empty path")
    output = Path(text)
    if output == STDOUT:
        check_no_terminal("--output")
    as_directory = text.endswith("/") or output.is_dir()
    compression = Compression(options.compression)
    if as_directory and compression is not Compression.NONE:
        raise UsageError(f"--compression: {options.compression!r}: a directory is not compressed")
    return ExportRequest(
        image=options.image,
        image_ref=options.from_ref,
        architecture=options.arch,
        output=output if output == STDOUT else Path(os.path.abspath(output)),
        as_directory=as_directory,
        mtime_s=timestamp_s(options.timestamp),
        compression=compression,
        sandbox=Sandbox(id_map=options.idmap, rootfs=options.rootfs),
        scratch=scratch_from(options, keep=False),
    )
