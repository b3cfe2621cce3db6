"""``rootrun shell-image``: a shell in the environment of a derivation, as an image."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rootrun import log
from rootrun.cli.layered import DEFAULT_STORE, layered_request_of
from rootrun.cli.parser import Options
from rootrun.cli.request import given_name
from rootrun.cli.run import Job, run_and_tell
from rootrun.compose.derivation_file import NamedDerivation, read_derivation
from rootrun.compose.layered.graph_file import read_closures
from rootrun.compose.layered.request import LayeredRequest, ReadyLayer
from rootrun.compose.shell_image.environment import (
    BUILD_DIRECTORY,
    ShellSettings,
    check_shell,
    mentioned_paths,
)
from rootrun.compose.shell_image.layer import shell_config, shell_layer
from rootrun.dataclass import replace
from rootrun.errors import UsageError
from rootrun.image.document import JsonObject, get_list
from rootrun.image.reference import name_from_stems
from rootrun.request import HelperKind, Request

_DEFAULT_ID = 1000
_BUNDLE = "/etc/ssl/certs/ca-bundle.crt"  # one of the places of ``--with ca-certificates``
_SHELL_NAMES = ("bash", "sh")


def run_shell_image(options: Options) -> int:
    """Make the image that ``options`` ask for, and return the exit status."""
    request = make_shell_request(options)

    def load(_: Request) -> Job:
        from rootrun import layered

        return partial(layered.run_layered, request)

    return run_and_tell(options, request.run, load)


def make_shell_request(options: Options) -> LayeredRequest:
    """Return what ``options`` ask for; raise UsageError for what cannot be."""
    if not options.closures:
        raise UsageError(
            "--closure: not given: no path of a store would be in the image",
            hint="see rootrun shell-image --help",
        )
    named = read_derivation(options.derivation)
    settings = _settings(options, named)
    check_shell(named.name, named.derivation, settings)
    if given_name(options) is None:
        options.name = name_from_stems(None, f"{named.name}-env")
    options.base = options.from_ref = None
    _tell_what_is_missing(options, named, settings)
    request = layered_request_of(options)
    edits = request.run.edits
    config = shell_config(named.derivation, settings)
    run = replace(request.run, edits=replace(edits, merge=_laid_over(config, edits.merge)))
    layer = shell_layer(named.derivation, settings, mtime_s=run.policy.mtime_s)
    ready = ReadyLayer(
        content=layer.content,
        entry_count=layer.entry_count,
        created_by=f"rootrun shell-image {named.name}",
        needed=_of_store(settings),
    )
    return replace(request, run=run, ready=ready)


def _settings(options: Options, named: NamedDerivation) -> ShellSettings:
    kinds = [helper.kind for helper in options.helpers]
    return ShellSettings(
        shell=options.shell_path or _shell_of(named),
        uid=_DEFAULT_ID if options.uid is None else options.uid,
        gid=_DEFAULT_ID if options.gid is None else options.gid,
        home=options.home or BUILD_DIRECTORY,
        command=options.shell_command,
        run=options.run,
        bundle=_BUNDLE if HelperKind.CA_CERTIFICATES in kinds else None,
        store=options.store_dir or DEFAULT_STORE,
    )


def _shell_of(named: NamedDerivation) -> str:
    """Return the builder, which with stdenv is a bash."""
    builder = named.derivation.builder
    if os.path.basename(builder) in _SHELL_NAMES:
        return builder
    raise UsageError(
        f"--shell: not given: the builder of {named.name}, {builder!r}, is no shell",
        hint="as in --shell /nix/store/...-bash/bin/bash",
    )


def _tell_what_is_missing(
    options: Options, named: NamedDerivation, settings: ShellSettings
) -> None:
    """Warn of what the builder would look for in vain."""
    there = read_closures(options.closures, store=settings.store)
    mentioned = mentioned_paths(named.derivation, store=settings.store)
    missing = [path for path in mentioned if path not in there]
    if missing and not options.no_store_paths:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        log.warning("%s: not in the closure: %s%s", named.name, missing[0], more)


def _of_store(settings: ShellSettings) -> tuple[tuple[str, Path], ...]:
    """Return the shell, unless it comes into the image from elsewhere."""
    is_of_store = settings.shell.startswith(f"{settings.store}/")
    return (("--shell", Path(settings.shell)),) if is_of_store else ()


def _laid_over(config: JsonObject, given: Mapping[str, object]) -> JsonObject:
    """Return ``config`` with what ``--config`` gave over it."""
    merged = {**config, **given}
    if given.get("Env") is not None:
        where = "--config"
        merged["Env"] = [
            *get_list(config, "Env", where=where), *get_list(given, "Env", where=where)
        ]  # fmt: skip
    return merged
