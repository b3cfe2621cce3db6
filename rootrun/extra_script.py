"""``--extra-script``: programs of the host, which work on the image from outside."""

import os
from pathlib import Path

from rootrun.plan import DEFAULT_ENVIRONMENT, limits_of
from rootrun.request import NetworkMode, Request
from rootrun.sandbox.denials import Denials
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.spec import HOST_TREE, ContainerSpec, ScriptStep

_TMPDIR = "/dev/shm"  # a tmpfs in every container; the host's /tmp is there to be read


def extra_spec(
    request: Request, steps: tuple[ScriptStep, ...], *, id_map: IdMap, root: Path, scratch: Path
) -> ContainerSpec:
    """Return the container in which ``steps`` change the image at ``root``; its place is made.

    It is below ``scratch``. What the image says of its environment and user does not count there:
    the programs are the host's.
    """
    place = scratch / "host"
    place.mkdir()
    return ContainerSpec(
        root=place,
        host_tree=root,
        steps=steps,
        environment=_environment(request),
        id_map=id_map,
        working_directory=HOST_TREE,
        has_host_network=request.sandbox.network is NetworkMode.HOST,
        denials=Denials.HOST,
        has_no_new_privs=True,
        limits=limits_of(request),
    )


def _environment(request: Request) -> dict[str, str]:
    """Return the environment of a script, with the caller's PATH, and without that of the image.

    The image could name libraries and programs of its own in that, which would then see the host.
    """
    named = os.environ.get("PATH", "").split(":")
    absolute = [directory for directory in named if directory.startswith("/")]
    return {
        **DEFAULT_ENVIRONMENT,
        "HOME": _TMPDIR,
        "TMPDIR": _TMPDIR,
        "SOURCE_DATE_EPOCH": str(request.policy.mtime_s),
        **({"PATH": ":".join(absolute)} if absolute else {}),
        **dict(request.edits.env),
    }
