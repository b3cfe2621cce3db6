"""What the commands that talk to registries, or write archives, make of their options."""

import os

from rootrun.cli.parser import Options
from rootrun.cli.request import STDOUT, check_no_terminal
from rootrun.cli.stdout import require_stdout
from rootrun.compose.skopeo import RegistryAccess
from rootrun.errors import UsageError
from rootrun.image.reference import OutputReference, Transport


def access_of(options: Options, *, os_name: str | None) -> RegistryAccess:
    """Return how to talk to the registry; raise UsageError for a file that is not there."""
    for option, path in (("--cert-dir", options.cert_dir), ("--authfile", options.authfile)):
        if path is not None and not path.exists():
            raise UsageError(f"{option}: {os.fspath(path)!r}: No such file or directory")
    return RegistryAccess(
        os=os_name or "linux",
        architecture=options.arch,
        tls_verify=not options.no_tls_verify,
        cert_dir=options.cert_dir,
        authfile=options.authfile,
    )


def archive_output(
    output: OutputReference, options: Options, *, layout_hint: str, ref_hint: str
) -> OutputReference:
    """Return ``output``, one file without a name of its own, or standard output.

    Raises UsageError for a layout, a ref, and a standard output that is a terminal or is taken.
    """
    shown = os.fspath(output.path)
    if output.transport is Transport.OCI:
        raise UsageError(f"--output: 'oci:{shown}': not one file", hint=layout_hint)
    if output.ref is not None:
        called = f"{output.transport.value}:{shown}:{output.ref}"
        raise UsageError(f"--output: {called!r}: {output.ref} is a name", hint=ref_hint)
    require_stdout()
    if output.path == STDOUT:
        if options.json:
            raise UsageError("--json: not possible together with -o -, both go to standard output")
        check_no_terminal("--output")
    return output
