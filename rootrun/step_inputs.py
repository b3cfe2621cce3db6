"""What a layer is made of: all that can make it another one, by the words that users know."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from rootrun import __version__
from rootrun.compose.additions import Additions
from rootrun.compose.copy_digest import digest_of_copies
from rootrun.compose.emulation import AUTO
from rootrun.fakeroot.filters import is_known_machine
from rootrun.image.compressor import compressor_version
from rootrun.image.config import ImageConfig
from rootrun.image.digest import Digest
from rootrun.plan import LayerPlan, script_environment
from rootrun.request import Request
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.spec import CommandStep, ScriptStep, Step

LAYERS_BELOW = "the layers below"
SCRIPT = "the script"
COPIES = "the content of --copy"

_STEP_FORMAT = 1  # another one where the same inputs make another layer, or are told otherwise


def step_inputs(
    request: Request,
    config: ImageConfig,
    id_map: IdMap,
    *,
    plan: LayerPlan,
    below: Iterable[Digest],
) -> Mapping[str, str]:
    """Return what the layer of ``plan`` on the layers ``below`` is made of, by name.

    What is long, or may be secret, is there as a digest. The contents that ``--copy`` names are
    read. Not in it is what the layer does not depend on, as the id map and the way the root is
    made; nor limits, as they are no more of an input than the machine's own.
    """
    sandbox, policy = request.sandbox, request.policy
    values = {
        "rootrun": f"{__version__}, step format {_STEP_FORMAT}",
        "the architecture": f"{config.architecture}/{config.variant}",
        "--user": sandbox.user or "",
        "--workdir": sandbox.working_directory or "",
        "--tmpfs": json.dumps(sandbox.tmpfs),
        "--emulate": sandbox.emulate,
        "--seccomp": sandbox.seccomp,
        "--no-new-privs": str(sandbox.no_new_privs),
        "--timestamp": str(policy.mtime_s),
        "--owner": f"{policy.owner.value} {policy.uid}:{policy.gid}",
        "--compat": policy.shape.name,
        "--compression": f"{request.compression.value} {compressor_version(request.compression)}",
    }
    # SOURCE_DATE_EPOCH is --timestamp, unless the image sets it.
    environment = script_environment(config, mtime_s=0)
    digests = {
        LAYERS_BELOW: _digest(list(below)),
        SCRIPT: _digest([_content(step) for step in plan.steps]),
        COPIES: digest_of_copies(plan.copies),
        **(plan.additions or Additions()).inputs(),
        **(plan.references.inputs(config) if plan.references else {}),
        "the environment": _digest(sorted(environment.items())),
    }
    # With less than the whole emulation a script meets what its id map cannot do.
    if sandbox.emulate != AUTO or not is_known_machine():
        values["the id map"] = id_map.key
    return {**digests, **values}


def _content(step: Step) -> str:
    match step:
        case ScriptStep():
            return hashlib.sha256(step.content).hexdigest()
        case CommandStep():
            return json.dumps(step.argv)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode("ascii")).hexdigest()
