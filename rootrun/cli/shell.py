"""``rootrun shell``: a shell in a throw-away root, which can be kept."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from rootrun import log
from rootrun.cli.image_values import parse_base
from rootrun.cli.named_files import check_exists
from rootrun.cli.parser import Options
from rootrun.cli.request import check_one_name, timestamp_s
from rootrun.cli.stdout import require_stdout, write_out
from rootrun.errors import UsageError
from rootrun.image.edits import ConfigEdits
from rootrun.image.reference import (
    OutputReference,
    Transport,
    name_from_stems,
    parse_output_reference,
    reference_stem,
)
from rootrun.layer.policy import OwnerRule
from rootrun.testing.command import Command
from rootrun.testing.commit import CommitOptions, commit
from rootrun.testing.connection import close_connections
from rootrun.testing.link import MachineLink
from rootrun.testing.options import MachineOptions, plan_of
from rootrun.testing.terminal import Terminal, run_at_pipes, run_at_terminal, shell_of

_HOST_NAME = "rootrun"
_STARTS_WITHIN_S = 3600.0  # with an image to be fetched and unpacked
_COMMITTED_WITHIN_S = 3600.0
_STDIN, _STDOUT = 0, 1
_SEE_HELP = "see rootrun shell --help"


def run_shell(options: Options) -> int:
    """Run the shell that ``options`` ask for, commit what it did, and return its exit status."""
    commit_options = _commit_options(options)
    command = Command(shell_of(options.command or None), None, options.workdir, options.user)
    is_at_terminal = os.isatty(_STDIN) and (os.isatty(_STDOUT) or not options.command)
    with _started(options) as link:
        if is_at_terminal:
            status = run_at_terminal(link, command, Terminal(_STDIN, _STDOUT))
        else:
            status = run_at_pipes(link, command)
        if options.commit is None:
            return status
        # The status of a shell at a terminal is that of whatever was typed last.
        if status == 0 or (is_at_terminal and not options.command):
            _commit(link, options.commit, commit_options)
        else:
            log.warning("--commit: %s: not written: status %d", options.commit, status)
    return status


@contextmanager
def _started(options: Options) -> Iterator[MachineLink]:
    """Start the machine; nothing of it is left at the end of the block."""
    machine_options = _machine_options(options)
    plan = plan_of(_HOST_NAME, _image(options), machine_options, has_hosts=False)
    try:
        with closing(MachineLink(plan, machine_options)) as link:
            link.start(deadline_s=time.monotonic() + _STARTS_WITHIN_S)
            for line in link.child.messages().splitlines():
                level, _, text = line.partition(": ")
                (log.warning if level == "warning" else log.debug)("%s", text)
            yield link
    finally:
        close_connections()


def _image(options: Options) -> str:
    if options.from_image is None:
        raise UsageError("--from: not given: an empty root has no shell", hint=_SEE_HELP)
    return options.from_image


def _machine_options(options: Options) -> MachineOptions:
    return MachineOptions(
        ref=options.from_ref,
        architecture=options.arch,
        environment=dict(_variables(options)),
        host_network=options.network == "host",
        binds=tuple(options.binds),
        tmpfs=tuple(options.tmpfs),
        memory_bytes=options.memory,
        pids=options.pids,
        disk_bytes=options.disk,
        nofile=options.nofile,
        cpus=options.cpus,
        rootfs=options.rootfs,
        emulate=options.emulate,
        idmap=options.idmap,
        cache_dir=options.cache_dir,
        no_cache=options.no_cache,
        tmpdir=options.tmpdir,
    )


def _variables(options: Options) -> tuple[tuple[str, str], ...]:
    from_files = [variable for variables in options.env_file for variable in variables]
    return (*from_files, *options.env)


def _commit_options(options: Options) -> CommitOptions:
    """Return how to commit; raises UsageError for what could not be written."""
    if options.commit is None:
        if options.name or options.tag or options.owner:
            raise UsageError("--name, --tag, --owner: only possible with --commit", hint=_SEE_HELP)
        return CommitOptions()
    require_stdout()
    check_one_name(options)
    output = parse_output_reference(options.commit)
    _check_output(output)
    rule, uid, gid = options.owner or (OwnerRule.KEEP, 0, 0)
    base = reference_stem(parse_base(_image(options)))
    name = options.name or (options.tag and options.tag.name)
    return CommitOptions(
        name=name or (None if output.ref else name_from_stems(base, "shell")),
        tag=options.tag.tag if options.tag else None,
        owner=f"{uid}:{gid}" if rule is OwnerRule.FIXED else rule.value,
        timestamp=timestamp_s(options.timestamp),
        compression=options.compression,
        edits=ConfigEdits(
            env=_variables(options), working_directory=options.workdir, user=options.user
        ),
    )


def _check_output(output: OutputReference) -> None:
    """See that the image can be written: afterwards the work would be lost."""
    path = output.path
    check_exists("--commit", path.parent)
    if path.is_dir() and output.transport is not Transport.OCI:
        raise UsageError(f"--commit: {os.fspath(path)!r}: Is a directory")
    if not os.access(path if path.is_dir() else path.parent, os.W_OK):
        raise UsageError(f"--commit: {os.fspath(path)!r}: Permission denied")


def _commit(link: MachineLink, output: str, options: CommitOptions) -> None:
    deadline_s = time.monotonic() + _COMMITTED_WITHIN_S
    committed = commit(link, output, options, deadline_s=deadline_s)
    for loss in committed.losses:
        log.warning("%s", loss)
    write_out(f"{committed.image_id}\n")
