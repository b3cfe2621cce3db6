"""Fetching a base from a registry, by skopeo(1)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rootrun.errors import UsageError
from rootrun.image.platform import parse_platform
from rootrun.image.reference import ImageReference, Transport
from rootrun.sandbox.helper import run_helper


def pulled(
    reference: ImageReference | None, *, architecture: str | None, into: Callable[[], Path]
) -> ImageReference | None:
    """Return ``reference``, or where it lies on disk after a fetch, if it names a registry.

    The image must be named by digest: a tag means something else tomorrow.
    skopeo checks what it fetches against that digest; proxies, credentials and
    registries.conf(5) are its own matter. Raises HelperError if it fails.
    """
    if reference is None or reference.transport is not Transport.DOCKER:
        return reference
    name = reference.name or ""
    if "@sha256:" not in name:
        raise UsageError(
            f"--from: docker:{name}: names no digest",
            hint=f"skopeo inspect --format '{{{{.Digest}}}}' docker:{name} prints it",
        )
    directory = into() / "registry"
    run_helper(
        [
            "skopeo",
            *_override(architecture),
            "copy",
            "--quiet",
            f"docker:{name}",
            f"oci:{directory}:base",
        ]
    )
    return replace(reference, transport=Transport.OCI, path=directory, ref=None, name=None)


def _override(architecture: str | None) -> list[str]:
    """Return the options of skopeo that pick a platform out of an index."""
    options = ["--override-os", "linux"]
    if architecture is not None:
        platform = parse_platform(architecture)
        options += ["--override-arch", platform.architecture]
        if platform.variant:
            options += ["--override-variant", platform.variant]
    return options
