"""``rootrun prefetch``: the arguments of pullImage, as nix-prefetch-docker prints them."""

import json
from collections.abc import Mapping

from rootrun.cli.parser import Options
from rootrun.cli.registry import access_of
from rootrun.cli.report import compact
from rootrun.cli.stdout import require_stdout, write_out
from rootrun.cli.values import checked
from rootrun.compose.pull import PullRequest, pull_image
from rootrun.errors import UsageError
from rootrun.image.registry_name import LATEST, RegistryName, parse_registry_name
from rootrun.places import scratch_of

_MOST_WORDS = 2


def run_prefetch(options: Options) -> int:
    """Print the arguments for the image that ``options`` name, and return the exit status."""
    name = _name(options)
    request = PullRequest(
        name=name,
        final_name=options.final_image_name or name.repository,
        final_tag=options.final_image_tag or name.tag or LATEST,
        access=access_of(options, os_name=options.os),
        output=None,
        scratch=scratch_of(cache=None, no_cache=False, tmpdir=options.tmpdir, keep=False),
    )
    require_stdout()
    pulled = pull_image(request)
    arguments = {
        "imageName": name.repository,
        "imageDigest": pulled.digest,
        "hash": pulled.sri,
        "finalImageName": request.final_name,
        "finalImageTag": request.final_tag,
    }
    write_out(f"{compact(arguments)}\n" if options.json else _to_nix(arguments))
    return 0


def _name(options: Options) -> RegistryName:
    """Return the image that is meant; raise UsageError if nothing or too much says so."""
    words = options.words
    if len(words) > _MOST_WORDS:
        raise UsageError(f"{words[2]}: more than NAME and TAG or DIGEST")
    if bool(words) == bool(options.image_name):
        why = "not given" if not words else "not possible together with --image-name"
        raise UsageError(f"NAME: {why}", hint="see rootrun prefetch --help")
    text = options.image_name or words[0]
    name = checked("NAME", parse_registry_name)(text)
    if len(words) == _MOST_WORDS:
        separator = "@" if "sha256" in words[1] else ":"
        option = "DIGEST" if separator == "@" else "TAG"
        added = checked(option, lambda word: parse_registry_name(f"name{separator}{word}"))(
            words[1]
        )
        name = name._replace(tag=added.tag or name.tag, digest=added.digest or name.digest)
    if options.image_digest:
        digest = parse_registry_name(f"name@{options.image_digest}").digest
        name = name._replace(digest=digest)
    return name._replace(tag=options.image_tag or name.tag)


def _to_nix(arguments: Mapping[str, str]) -> str:
    # No value has what Nix would expand in a string: names, tags and digests have neither $ nor \.
    lines = [f"  {name} = {json.dumps(value)};\n" for name, value in arguments.items()]
    return "".join(["{\n", *lines, "}\n"])
