"""``rootrun push``: an image into a registry."""

from rootrun.cli import image_values
from rootrun.cli.parser import Options
from rootrun.cli.registry import access_of
from rootrun.cli.stdout import require_stdout, write_out
from rootrun.cli.values import checked
from rootrun.compose.push import PushRequest, push_image
from rootrun.errors import UsageError
from rootrun.image.registry_name import parse_registry_name
from rootrun.places import scratch_of
from rootrun.request import ImageChoice

_SEE_HELP = "see rootrun push --help"


def run_push(options: Options) -> int:
    """Push the image that ``options`` name, and return the exit status."""
    request = make_push_request(options)
    require_stdout()
    write_out(f"{push_image(request)}\n")
    return 0


def make_push_request(options: Options) -> PushRequest:
    """Return what ``options`` ask for; raise UsageError for what cannot be."""
    if len(options.words) != len(("IMAGE", "docker://NAME")):
        raise UsageError(
            f"rootrun push: takes IMAGE and docker://NAME, not {len(options.words)} words",
            hint=_SEE_HELP,
        )
    source, target = options.words
    image = checked("IMAGE", image_values.parse_source)(source)
    if not target.startswith("docker://"):
        raise UsageError(f"docker://NAME: {target!r}: does not begin with docker://")
    name = checked("docker://NAME", parse_registry_name)(target)
    if name.digest is not None:
        raise UsageError(f"docker://NAME: {target!r}: a digest, which is what a push tells")
    return PushRequest(
        image=ImageChoice(image, options.from_ref, options.arch),
        name=name,
        access=access_of(options, os_name=None),
        scratch=scratch_of(cache=None, no_cache=False, tmpdir=options.tmpdir, keep=False),
    )
