"""``rootrun merge``: several images in one archive."""

from rootrun.cli.image_values import parse_source
from rootrun.cli.parser import Options
from rootrun.cli.registry import archive_output
from rootrun.cli.report import compact, path_to_json
from rootrun.cli.request import STDOUT
from rootrun.cli.stdout import write_out
from rootrun.cli.values import checked
from rootrun.compose.merge import MergeRequest, merge_images
from rootrun.errors import UsageError
from rootrun.places import scratch_of
from rootrun.request import STDIN


def run_merge(options: Options) -> int:
    """Merge the images that ``options`` name, and return the exit status."""
    request = make_merge_request(options)
    image_ids = merge_images(request)
    if request.output.path == STDOUT:
        return 0
    if options.json:
        told = {"imageIds": image_ids, **path_to_json("output", request.output.path)}
        write_out(f"{compact(told)}\n")
    else:
        write_out("".join(f"{image_id}\n" for image_id in image_ids))
    return 0


def make_merge_request(options: Options) -> MergeRequest:
    """Return what ``options`` ask for; raise UsageError for what cannot be."""
    hint = "see rootrun merge --help"
    images = tuple(map(checked("IMAGE", parse_source), options.words))
    if not images:
        raise UsageError("IMAGE: not given", hint=hint)
    if [image.path for image in images].count(STDIN) > 1:
        raise UsageError("standard input: '-': given for more than one IMAGE")
    if options.output is None:
        raise UsageError("--output: not given", hint=hint)
    output = archive_output(
        options.output,
        options,
        layout_hint="write an archive: -o oci-archive:FILE",
        ref_hint="in a merge images have their own names",
    )
    return MergeRequest(
        images=images,
        architecture=options.arch,
        output=output,
        scratch=scratch_of(cache=None, no_cache=False, tmpdir=options.tmpdir, keep=False),
    )
