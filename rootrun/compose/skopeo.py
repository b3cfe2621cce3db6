"""Registries, by skopeo(1): proxies, credentials and registries.conf(5) are its own matter."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from rootrun.dataclass import dataclass
from rootrun.errors import HelperError, UsageError
from rootrun.image.digest import Digest, digest_of, parse_digest
from rootrun.image.platform import parse_platform
from rootrun.sandbox.helper import run_helper

_LOGGED = re.compile(r' level=fatal msg=("(?:[^"\\]|\\.)*")')
_POLICIES = ("~/.config/containers/policy.json", "/etc/containers/policy.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """How registries are talked to, and which image of an index is meant."""

    os: str = "linux"
    architecture: str | None = None  # as parse_platform takes it; None: this machine's
    tls_verify: bool = True
    cert_dir: Path | None = None
    authfile: Path | None = None


def for_skopeo(path: Path, *, what: str) -> Path:
    """Return ``path`` if TRANSPORT:PATH:REF can say it; else raise UsageError."""
    if ":" in os.fspath(path):  # it is split at the first colon behind the transport
        raise UsageError(
            f"{what}: skopeo cannot write to a path with a colon: {path}",
            hint="name another place by --tmpdir",
        )
    return path


def copy_image(
    source: str, target: str, *, access: RegistryAccess, tmpdir: Path, what: str
) -> Digest:
    """Copy an image by skopeo; return the digest of the manifest that ``target`` has then.

    One of the two is ``docker://...``. What skopeo fetches by a digest it checks against that.
    Raises HelperError, which begins with ``what`` was to be done.
    """
    end = "src" if source.startswith("docker:") else "dest"
    digest_file = tmpdir / "skopeo-digest"
    command = ["copy", "--quiet", "--digestfile", os.fspath(digest_file)]
    options = _connection(access, prefix=f"--{end}-")
    _run([*_global_options(access, tmpdir), *command, *options, source, target], what=what)
    return parse_digest(digest_file.read_text("ascii").strip(), where=what)


def digest_of_name(name: str, *, access: RegistryAccess, tmpdir: Path, what: str) -> Digest:
    """Return the digest of the manifest, or the index, that a registry has at ``docker://NAME``."""
    options = _connection(access, prefix="--")
    argv = [*_global_options(access, tmpdir), "inspect", "--raw", *options, name]
    return digest_of(_run(argv, what=what))


def _global_options(access: RegistryAccess, tmpdir: Path) -> list[str]:
    options = ["skopeo", "--override-os", access.os, "--tmpdir", os.fspath(tmpdir)]
    # Where nobody has said whom to trust skopeo would trust nobody: a Nix build has no /etc.
    if not any(os.path.exists(os.path.expanduser(path)) for path in _POLICIES):
        options.append("--insecure-policy")
    if access.architecture:
        platform = parse_platform(access.architecture)
        options += ["--override-arch", platform.architecture]
        options += ["--override-variant", platform.variant] if platform.variant else []
    return options


def _connection(access: RegistryAccess, *, prefix: str) -> list[str]:
    options = [] if access.tls_verify else [f"{prefix}tls-verify=false"]
    if access.cert_dir:
        options += [f"{prefix}cert-dir", os.fspath(access.cert_dir)]
    if access.authfile:
        options += ["--authfile", os.fspath(access.authfile)]
    return options


def _run(argv: Sequence[str], *, what: str) -> bytes:
    try:
        return run_helper(argv)
    except HelperError as error:
        raise HelperError(f"{what}: {_reason(error)}", hint=error.hint) from error


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
