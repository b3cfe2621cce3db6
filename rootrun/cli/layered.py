"""``rootrun layered``: the paths of a store as an image of many layers."""

from functools import partial

from rootrun.cli.parser import Options
from rootrun.cli.request import given_name, request_of
from rootrun.cli.run import Job, run_and_tell
from rootrun.compose.layered.layer_plan import SIZE, Store
from rootrun.compose.layered.pipeline import Operation, parse_pipeline
from rootrun.compose.layered.request import DEFAULT_MAX_LAYERS, LayeredRequest
from rootrun.dataclass import replace
from rootrun.errors import UsageError
from rootrun.image.reference import name_from_stems
from rootrun.layer.policy import LayerPolicy, OwnerRule
from rootrun.request import Request

DEFAULT_STORE = "/nix/store"
_DEFAULT_NAME = "layered"


def run_layered(options: Options) -> int:
    """Make the image that ``options`` ask for, and return the exit status."""
    request = make_layered_request(options)

    def load(_: Request) -> Job:
        from rootrun import layered

        return partial(layered.run_layered, request)

    return run_and_tell(options, request.run, load)


def make_layered_request(options: Options) -> LayeredRequest:
    """Return what ``options`` ask for; raise UsageError for what cannot be."""
    if not options.closures and not options.contents:
        raise UsageError(
            "nothing to do: neither --closure FILE nor --contents PATH is given",
            hint="see rootrun layered --help",
        )
    if given_name(options) is None:
        options.name = _name(options)
    return layered_request_of(options)


def layered_request_of(options: Options) -> LayeredRequest:
    """Return what ``options``, whose image has a name, ask for; raise UsageError as above."""
    run = request_of(options)
    if options.owner is None:
        # What a script gives away is meant so, and all else is root's as it is.
        run = replace(run, policy=replace(run.policy, owner=OwnerRule.KEEP))
    policy = run.policy
    return LayeredRequest(
        run=run,
        closures=tuple(options.closures),
        contents=tuple(options.contents),
        store=Store(
            options.store_dir or DEFAULT_STORE,
            LayerPolicy(
                mtime_s=policy.mtime_s, owner=OwnerRule.FIXED, uid=policy.uid, gid=policy.gid
            ),
        ),
        how=_how(options),
        has_store_paths=not options.no_store_paths,
        max_layers=options.max_layers or DEFAULT_MAX_LAYERS,
    )


def _name(options: Options) -> str:
    """Return the name of the first of the contents without its hash, as Nix would have it."""
    if not options.contents:
        return _DEFAULT_NAME
    name = options.contents[0].name
    return name_from_stems(None, name.partition("-")[2] or name)


def _how(options: Options) -> str | Operation:
    if options.pipeline is None:
        return options.layering or SIZE
    for option, value in (("--layering", options.layering), ("--max-layers", options.max_layers)):
        if value is not None:
            raise UsageError(f"{option}: {value}: not possible together with --pipeline")
    try:
        return parse_pipeline(options.pipeline)
    except UsageError as error:
        raise UsageError(f"--{error}", hint=error.hint) from None
