"""Platforms: the GOARCH names of image-spec 1.1 (image-index.md), and what runs where."""

import os
from collections.abc import Collection

from rootrun.errors import UsageError
from rootrun.namedtuple import NamedTuple


class Platform(NamedTuple):
    """An architecture as Go names it, and its variant (``v7``), empty where there is none."""

    architecture: str
    variant: str = ""
    os: str = "linux"

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


_OF_MACHINE = {
    "x86_64": Platform("amd64"),
    "i386": Platform("386"),
    "i486": Platform("386"),
    "i586": Platform("386"),
    "i686": Platform("386"),
    "aarch64": Platform("arm64"),
    "armv8l": Platform("arm", "v8"),
    "armv7l": Platform("arm", "v7"),
    "armv6l": Platform("arm", "v6"),
    "armv5tel": Platform("arm", "v5"),
    "ppc64le": Platform("ppc64le"),
    "ppc64": Platform("ppc64"),
    "s390x": Platform("s390x"),
    "riscv64": Platform("riscv64"),
    "loongarch64": Platform("loong64"),
    "mips": Platform("mips"),
    "mips64": Platform("mips64"),
}
_OTHER_NAMES = {**_OF_MACHINE, "armv7": Platform("arm", "v7"), "armv6": Platform("arm", "v6")}
_ARCHITECTURES = {platform.architecture for platform in _OF_MACHINE.values()} | {
    "mipsle",
    "mips64le",
    "wasm",
}
_ALSO_RUNS = {"amd64": ("386",)}  # arm64: some processors only, so the caller must know


def machine_platform(machine: str | None = None) -> Platform:
    """Return the platform of ``machine``, a name as uname(2) has it; None is this one."""
    machine = machine or os.uname().machine
    return _OF_MACHINE.get(machine, Platform(machine))


def parse_platform(text: str) -> Platform:
    """Return the platform of ``arm64``, ``arm/v7`` or ``linux/arm/v7``.

    The names of uname(2) are taken for what they mean. Raises UsageError for
    what is no architecture that Go knows.
    """
    parts = text.removeprefix("linux/").split("/")
    platform = _OTHER_NAMES.get(parts[0], Platform(parts[0]))
    if len(parts) > 2 or platform.architecture not in _ARCHITECTURES:
        known = ", ".join(sorted(_ARCHITECTURES))
        raise UsageError(f"architecture: {text!r}: not a GOARCH name", hint=f"known are {known}")
    return platform._replace(variant=parts[1]) if len(parts) == 2 else platform


def can_run(
    architecture: str, *, machine: str | None = None, emulated: Collection[str] = ()
) -> bool:
    """Say whether programs for ``architecture`` run on ``machine`` (None: this one).

    ``emulated`` names architectures that the caller knows to work besides:
    through binfmt_misc, or 32-bit arm on an arm64 that still has it.
    """
    own = machine_platform(machine).architecture
    return (
        architecture == own or architecture in _ALSO_RUNS.get(own, ()) or architecture in emulated
    )
