"""Fetching a base from a registry, by skopeo(1)."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from rootrun.dataclass import replace
from rootrun.errors import HelperError, UsageError
from rootrun.image.reference import ImageReference, Transport
from rootrun.sandbox.helper import run_helper

_LOGGED = re.compile(r' level=fatal msg=("(?:[^"\\]|\\.)*")')


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
    if ":" in os.fspath(directory):  # oci:PATH:REF is split at its first colon
        raise UsageError(
            f"fetch image: docker:{name}: skopeo cannot write to a path with a colon: {directory}",
            hint="name another place by --tmpdir",
        )
    override = ["--override-arch", architecture] if architecture else []
    argv = ["skopeo", "--override-os", "linux", *override, "copy", "--quiet"]
    try:
        run_helper([*argv, f"docker:{name}", f"oci:{directory}:base"])
    except HelperError as error:
        raise HelperError(
            f"fetch image: docker:{name}: {_reason(error)}", hint=error.hint
        ) from error
    return replace(reference, transport=Transport.OCI, path=directory, ref=None, name=None)


def _reason(error: HelperError) -> str:
    """Return what skopeo says without the form of its log, as logrus(1) writes it to a pipe."""
    text = str(error).removeprefix("run skopeo: ")
    logged = _LOGGED.search(text)
    if logged is None:
        return text
    try:
        return str(json.loads(logged[1]))
    except ValueError:  # quoted as Go does, which is nearly JSON
        return logged[1]
