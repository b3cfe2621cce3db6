"""Parsed options become the Request: defaults, conflicts, and whether the files are there."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rootrun.cli.image_values import Tag, parse_tag
from rootrun.cli.named_files import check_exists, check_result_files, check_scripts
from rootrun.cli.parser import Options
from rootrun.cli.stdout import require_stdout
from rootrun.cli.values import checked, parse_timestamp
from rootrun.dataclass import replace
from rootrun.errors import UsageError
from rootrun.image.compression import Compression
from rootrun.image.edits import ConfigEdits
from rootrun.image.reference import (
    OutputReference,
    Transport,
    name_from_stems,
    reference_stem,
    stem,
)
from rootrun.layer.policy import LayerPolicy, OwnerRule
from rootrun.places import scratch_of
from rootrun.request import (
    STDIN,
    CopyIn,
    Helper,
    HelperKind,
    NetworkMode,
    Request,
    Sandbox,
    Scratch,
)

STDOUT = Path("-")
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
DEFAULT_TIMESTAMP_S = 1
DEFAULT_CREATED = "1970-01-01T00:00:01Z"


def make_request(options: Options) -> Request:
    """Return what ``options`` ask for; raise UsageError for what cannot be."""
    brought = (
        *(*options.copies, *options.helpers, *options.registrations),
        *options.extra_scripts,
    )
    if not options.scripts and not options.command and not brought:
        raise UsageError(
            "nothing to do: neither --script FILE nor -- COMMAND nor --copy PATH is given",
            hint="see rootrun --help",
        )
    request = request_of(options)
    if options.compat is None:
        return request
    from rootrun.cli.compat import like_dockertools  # few ask for it

    return like_dockertools(request, options)


def request_of(options: Options) -> Request:
    """Return what ``options`` ask for, which may be nothing; raise UsageError as above.

    Reads no image, but sees that each file named for input is there: a run of
    minutes must not end because a name was misspelt.
    """
    _check_task(options)
    _check_inputs(options)
    output = _output(options)
    check_result_files(options, output)
    _check_stdout(options, output)
    return Request(
        base=options.base,
        base_ref=options.from_ref,
        architecture=options.arch,
        scripts=tuple(options.scripts),
        command=options.command,
        copies=_copies(options),
        helpers=tuple(options.helpers),
        registrations=tuple(options.registrations),
        extra_scripts=tuple(options.extra_scripts),
        references=tuple(options.references),
        output=output,
        name=_name(options),
        tag=_tag(options, output),
        edits=_edits(options),
        created=options.created or DEFAULT_CREATED,
        policy=_policy(options),
        compression=Compression(options.compression),
        max_layers=options.max_layers,
        sandbox=_sandbox(options),
        scratch=scratch_from(options, keep=options.keep),
        is_checked=options.check,
        is_squashed=options.squash,
        has_step_cache=options.step_cache,
    )


def _copies(options: Options) -> tuple[CopyIn, ...]:
    return tuple(replace(copy, copies_dirlinks=options.copy_dirlinks) for copy in options.copies)


def _check_task(options: Options) -> None:
    if options.scripts and options.command:
        raise UsageError("--script: not possible together with -- COMMAND")
    scripts = (*options.scripts, *options.extra_scripts)
    from_stdin = [path for path in scripts if path == STDIN]
    if options.base and options.base.path == STDIN:
        from_stdin.append(STDIN)
    if len(from_stdin) > 1:
        raise UsageError("standard input: '-': given for more than one of --from and --script")
    if options.keep_dirlinks and options.copy_dirlinks:
        raise UsageError("--keep-dirlinks: not possible together with --copy-dirlinks")
    if options.step_cache and options.no_cache:
        raise UsageError("--step-cache: not possible together with --no-cache")
    check_one_name(options)


def check_one_name(options: Options) -> None:
    """Raise UsageError if two options name the image."""
    if options.tag and options.tag.name and options.name:
        raise UsageError("--tag: NAME:TAG is not possible together with --name")


def _check_inputs(options: Options) -> None:
    check_scripts("--script", options.scripts)
    check_scripts("--extra-script", options.extra_scripts)
    for copy in options.copies:
        check_exists("--copy", copy.source, hint=_copy_hint(copy.source))
    for bind in options.binds:
        check_exists("--bind", bind.source)
    for option, files in (
        ("--nix-db", options.registrations),
        ("--references", options.references),
    ):
        for file in files:
            check_exists(option, file)
    _check_helpers(options.helpers)


def _check_helpers(helpers: Sequence[Helper]) -> None:
    kinds = [helper.kind for helper in helpers]
    for position, kind in enumerate(kinds):
        if kind in kinds[:position]:
            raise UsageError(f"--with: {kind.value}: given more than once")
    if HelperKind.FAKE_NSS in kinds and HelperKind.SHADOW in kinds:
        raise UsageError("--with: shadow: not possible together with fake-nss, which makes users")


def _copy_hint(source: Path) -> str | None:
    path, colon, _ = os.fspath(source).rpartition(":")
    is_split = colon and os.path.exists(path)
    return "the DST of PATH:DST is an absolute path in the image" if is_split else None


def _output(options: Options) -> OutputReference:
    if options.output:
        return options.output
    if name := given_name(options):
        file_name = name.rpartition("/")[2]
    else:
        base = reference_stem(options.base) or ("stdin" if options.base else "scratch")
        file_name = f"{base}-{_task_stem(options)}"
    return OutputReference(transport=Transport.DOCKER_ARCHIVE, path=Path(f"{file_name}.tar"))


def _task_stem(options: Options) -> str:
    if options.command:
        return stem(options.command[0])
    if options.scripts:
        first = options.scripts[0]
        return "stdin" if first == STDIN else stem(os.fspath(first))
    if options.copies:
        return stem(os.fspath(options.copies[0].source.absolute())) or "content"
    if options.helpers:
        return options.helpers[0].kind.value
    return "nix-db" if options.registrations else stem(os.fspath(options.extra_scripts[0]))


def given_name(options: Options) -> str | None:
    """Return the name that the image is given, None if it is to come from what is done."""
    tags = (options.tag, _archive_tag(options.output))
    return options.name or next((tag.name for tag in tags if tag and tag.name), None)


def _archive_tag(output: OutputReference | None) -> Tag | None:
    """Return what the ref of a docker-archive says, which is a whole name as skopeo has it."""
    is_name = output and output.ref and output.transport is Transport.DOCKER_ARCHIVE
    return parse_tag(output.ref) if is_name and output and output.ref else None


def _name(options: Options) -> str:
    base = reference_stem(options.base)
    return given_name(options) or name_from_stems(base, _task_stem(options))


def _tag(options: Options, output: OutputReference) -> str | None:
    if options.tag:
        return options.tag.tag
    if output.ref is None:
        return None
    try:
        return parse_tag(output.ref.rpartition(":")[2]).tag
    except UsageError:  # a ref of an OCI layout may be what no tag can be: a/b
        return None


def _check_stdout(options: Options, output: OutputReference) -> None:
    if options.digestfile and output.transport is Transport.DOCKER_ARCHIVE:
        raise UsageError(
            f"--digestfile: {os.fspath(options.digestfile)!r}: a docker-archive has no manifest",
            hint="write an OCI image: -o oci-archive:FILE or -o oci:DIR",
        )
    require_stdout()
    if output.path != STDOUT:
        return
    if options.json:
        raise UsageError("--json: not possible together with -o -, both go to standard output")
    check_no_terminal("--output")


def check_no_terminal(option: str) -> None:
    """Raise UsageError if standard output is a terminal: an image there helps nobody."""
    require_stdout()
    if sys.stdout.isatty():
        raise UsageError(
            f"{option}: '-': standard output is a terminal", hint="redirect it, or name a file"
        )


def _edits(options: Options) -> ConfigEdits:
    from_files = [variable for variables in options.env_file for variable in variables]
    return ConfigEdits(
        merge=options.config or {},
        env=(*from_files, *options.env),
        command=options.cmd,
        entrypoint=options.entrypoint,
        working_directory=options.workdir,
        user=options.user,
        labels=tuple(options.label),
        exposed_ports=tuple(options.expose),
        volumes=tuple(options.volume),
    )


def _policy(options: Options) -> LayerPolicy:
    rule, uid, gid = options.owner or (OwnerRule.ROOT, 0, 0)
    return LayerPolicy(mtime_s=timestamp_s(options.timestamp), owner=rule, uid=uid, gid=gid)


def timestamp_s(option: int | None) -> int:
    """Return the mtime to write: the option's, else SOURCE_DATE_EPOCH, else 1."""
    if option is not None:
        return option
    text = os.environ.get(EPOCH_VARIABLE)
    return checked(EPOCH_VARIABLE, parse_timestamp)(text) if text else DEFAULT_TIMESTAMP_S


def _sandbox(options: Options) -> Sandbox:
    return Sandbox(
        id_map=options.idmap,
        rootfs=options.rootfs,
        emulate=options.emulate,
        seccomp=options.seccomp,
        no_new_privs=options.no_new_privs,
        network=NetworkMode(options.network),
        binds=tuple(options.binds),
        tmpfs=tuple(options.tmpfs),
        user=options.user,
        working_directory=options.workdir,
        timeout_s=options.timeout,
        memory_bytes=options.memory,
        disk_bytes=options.disk,
        pids=options.pids,
        nofile=options.nofile,
        cpus=options.cpus,
    )


def scratch_from(options: Options, *, keep: bool) -> Scratch:
    """Return the places of a run, by the options that name them."""
    return scratch_of(
        cache=options.cache_dir, no_cache=options.no_cache, tmpdir=options.tmpdir, keep=keep
    )
