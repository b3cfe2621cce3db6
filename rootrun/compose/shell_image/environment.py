"""The environment of a derivation's builder, as a shell of an image has it.

The values are those that Nix gives a builder in its sandbox, and nixpkgs' streamNixShellImage sets.
"""

import hashlib
import re
from collections.abc import Mapping

from rootrun.compose.derivation import Derivation
from rootrun.compose.nix_database.store_path import base_32_of
from rootrun.errors import UsageError
from rootrun.namedtuple import NamedTuple

USER = "nixbld"
BUILD_DIRECTORY = "/build"  # of the sandbox
BUILDER = "buildDerivation"  # the program that builds the derivation
BUILDER_DIRECTORY = "/usr/local/bin"
_STRUCTURED = "__json"
_AS_FILE = "passAsFile"


class ShellSettings(NamedTuple):
    """What can be chosen of a shell image."""

    shell: str  # a bash, as a path in the image
    uid: int = 1000
    gid: int = 1000
    home: str = BUILD_DIRECTORY
    command: str | None = None  # to run in an interactive shell, which ends then
    run: str | None = None  # to run in one that is not
    bundle: str | None = None  # of certificates, as a path in the image
    store: str = "/nix/store"

    @property
    def path(self) -> str:
        """Where the shell and the program of the builder are."""
        return f"{self.shell.rpartition('/')[0] or '/'}:{BUILDER_DIRECTORY}"


def check_shell(name: str, derivation: Derivation, settings: ShellSettings) -> None:
    """Raise UsageError for what no shell image can be made of; ``name`` is the derivation's."""
    if any(variable == _STRUCTURED for variable, _ in derivation.environment):
        raise UsageError(f"shell image: {name}: a derivation with structured attributes")
    for variable, value in derivation.environment:
        if why := _why_no_variable(variable, value):
            raise UsageError(f"shell image: {name}: {variable!r}: {why}")
    if settings.command is not None and settings.run is not None:
        raise UsageError("--command: not possible together with --run")
    for option, path in (("--shell", settings.shell), ("--home", settings.home)):
        if not path.startswith("/"):
            raise UsageError(f"{option}: {path!r}: not an absolute path")
        if re.search(r"[:\s]", path):
            raise UsageError(f"{option}: {path!r}: has a colon or a blank")


def _why_no_variable(name: str, value: str) -> str | None:
    if not name or "=" in name or "\0" in name + value:
        return "not a variable"
    try:
        f"{name}={value}".encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return None


def mentioned_paths(derivation: Derivation, *, store: str) -> list[str]:
    """Return the paths of the store that the builder is told, but for those that it makes."""
    values = (value for _, value in derivation.environment)
    told = "\n".join((derivation.builder, *derivation.args, *values))
    found = re.findall(rf"{re.escape(store)}/[0-9a-z]{{32}}-[0-9A-Za-z+\-._?=]+", told)
    return sorted({*found} - {path for _, path in derivation.outputs})


def files_of_attributes(derivation: Derivation) -> Mapping[str, str]:
    """Return the attributes that the builder finds in files (passAsFile), by their paths."""
    values = dict(derivation.environment)
    names = values.get(_AS_FILE, "").split()
    return {_path_of(name): values[name] for name in names if name in values}


def shell_environment(derivation: Derivation, settings: ShellSettings) -> Mapping[str, str]:
    """Return the variables; what the derivation sets wins but over the places to work in."""
    certificates = {}
    if settings.bundle is not None:
        names = ("SSL_CERT_FILE", "NIX_SSL_CERT_FILE")
        certificates = dict.fromkeys(names, settings.bundle)
    return {
        **certificates,
        "PATH": settings.path,
        "HOME": settings.home,
        "USER": USER,
        "NIX_STORE": settings.store,
        "NIX_BUILD_CORES": "1",
        **_attributes(derivation),
        "NIX_BUILD_TOP": BUILD_DIRECTORY,
        **dict.fromkeys(("TMPDIR", "TEMPDIR", "TMP", "TEMP"), BUILD_DIRECTORY),
        "PWD": BUILD_DIRECTORY,
        "TERM": "xterm-256color",
    }


def _attributes(derivation: Derivation) -> Mapping[str, str]:
    values = {**dict(derivation.outputs), **dict(derivation.environment)}
    for name in values.get(_AS_FILE, "").split():
        if values.pop(name, None) is not None:
            values[f"{name}Path"] = _path_of(name)
    return values


def _path_of(name: str) -> str:
    # Nix takes the hash, so that a name with a slash in it leads nowhere.
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return f"{BUILD_DIRECTORY}/.attr-{base_32_of(digest)}"
