"""``--compat dockertools``: a request for what buildImage of dockerTools would make."""

from rootrun.cli.parser import Options
from rootrun.dataclass import replace
from rootrun.layer.dockertools import DOCKERTOOLS
from rootrun.layer.policy import OwnerRule
from rootrun.request import Request


def like_dockertools(request: Request, options: Options) -> Request:
    """Return ``request`` with the choices of dockerTools where ``options`` make none."""
    policy = replace(request.policy, shape=DOCKERTOOLS)
    if options.owner is None:
        policy = replace(policy, owner=OwnerRule.KEEP)
    copies = tuple(
        replace(copy, copies_dirlinks=not options.keep_dirlinks, sets_modes=True)
        for copy in request.copies
    )
    return replace(
        request, policy=policy, copies=copies, edits=replace(request.edits, env_alone=True)
    )
