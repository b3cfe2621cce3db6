"""``rootrun pull``: an image of a registry as an archive."""

from collections.abc import Mapping
from pathlib import Path

from rootrun.cli.parser import Options
from rootrun.cli.registry import access_of, archive_output
from rootrun.cli.report import compact, path_to_json
from rootrun.cli.request import STDOUT
from rootrun.cli.stdout import write_out
from rootrun.compose.pull import Pulled, PullRequest, pull_image
from rootrun.errors import UsageError
from rootrun.image.reference import OutputReference, Transport
from rootrun.image.registry_name import LATEST
from rootrun.places import scratch_of


def run_pull(options: Options) -> int:
    """Fetch the image that ``options`` name, and return the exit status."""
    request = make_pull_request(options)
    assert request.output is not None
    pulled = pull_image(request)
    if request.output.path == STDOUT:
        return 0
    name = request.name._replace(digest=pulled.digest)
    told = compact(_record(request, pulled)) if options.json else str(name)
    write_out(f"{told}\n")
    return 0


def make_pull_request(options: Options) -> PullRequest:
    """Return what ``options`` ask for; raise UsageError for what cannot be."""
    name = options.registry_name
    if name.digest is None and not options.allow_tag:
        raise UsageError(
            f"docker://NAME: {str(name)!r}: no digest",
            hint=f"pin it as docker://{name.repository}@sha256:..., or give --allow-tag",
        )
    if options.tag and options.tag.name and options.name:
        raise UsageError("--tag: NAME:TAG is not possible together with --name")
    tagged = options.tag.name if options.tag else None
    return PullRequest(
        name=name,
        final_name=options.name or tagged or name.repository,
        final_tag=options.tag.tag if options.tag else name.tag or LATEST,
        access=access_of(options, os_name=options.os),
        output=_output(options),
        scratch=scratch_of(cache=None, no_cache=False, tmpdir=options.tmpdir, keep=False),
    )


def _output(options: Options) -> OutputReference:
    base_name = options.registry_name.repository.rpartition("/")[2]
    default = OutputReference(transport=Transport.DOCKER_ARCHIVE, path=Path(f"{base_name}.tar"))
    return archive_output(
        options.output or default,
        options,
        layout_hint="skopeo copy writes layouts from registries",
        ref_hint="--name and --tag give it one",
    )


def _record(request: PullRequest, pulled: Pulled) -> Mapping[str, object]:
    """Return the object of ``--json``: enough to fetch the same again, and to see that it is."""
    assert request.output is not None
    return {
        "imageName": request.name.repository,
        "imageTag": request.name.tag,
        "imageDigest": pulled.digest,
        "finalImageName": request.final_name,
        "finalImageTag": request.final_tag,
        "imageId": pulled.image_id,
        "os": request.access.os,
        "architecture": pulled.architecture,
        "sha256": pulled.sha256,
        "hash": pulled.sri,
        **path_to_json("output", request.output.path),
    }
