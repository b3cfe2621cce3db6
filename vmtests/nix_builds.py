"""rootrun as the builder in the sandbox of a guest's Nix, in each way that Nix sets it up."""

import shlex
from collections.abc import Mapping
from typing import NamedTuple

from vmtests.control import Answer
from vmtests.luggage import PLACE
from vmtests.machine import Machine

_CONFIGURATION = """\
experimental-features = nix-command auto-allocate-uids cgroups
sandbox = true
sandbox-fallback = false
substituters =
sandbox-paths = /usr /bin=/usr/bin /lib=/usr/lib /lib64=/usr/lib64 /luggage=/scratch/luggage
"""

# What the example takes from nixpkgs, by the guest's own programs.
_PACKAGES = """\
let
  runCommand = name: attributes: command: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" command ];
    PATH = "/luggage/bin:/usr/bin:/usr/sbin";
  } // attributes);
  rootrun = "/luggage";
in
"""
_TIMEOUT_S = 900


class Setting(NamedTuple):
    """A way in which Nix is set up."""

    user: str  # who calls nix-build
    configuration: str  # of nix.conf, beside what all have
    feature: str = ""  # that a derivation wants of the system (requiredSystemFeatures)

    @property
    def place(self) -> str:
        """The directory of its configuration and its store."""
        return f"/scratch/{self.user}/nix{self.feature}"

    @property
    def attributes(self) -> str:
        """The attributes of a derivation that is to be built so."""
        return f'{{ requiredSystemFeatures = [ "{self.feature}" ]; }}' if self.feature else "{ }"


SETTINGS: Mapping[str, Setting] = {
    "single user": Setting("tester", "build-users-group =\n"),
    "build users": Setting("root", "build-users-group = nixbld\n"),
    "uid-range": Setting(
        "root",
        "auto-allocate-uids = true\nuse-cgroups = true\nextra-system-features = uid-range\n",
        "uid-range",
    ),
}


def set_up(machine: Machine) -> None:
    """Make what Nix wants to find: a member of the group nixbld, who builds; configurations."""
    machine.succeed(
        "groupadd --system nixbld",
        "useradd --system --gid nixbld --groups nixbld --no-create-home nixbld1",
    )
    for setting in SETTINGS.values():
        machine.succeed(f"mkdir {setting.place} && chown {setting.user}: {setting.place}")
        machine.put_text(f"{setting.place}/nix.conf", _CONFIGURATION + setting.configuration)


def example(setting: Setting, *, script: str, options: str = "") -> str:
    """Return the expression of the example, with the luggage's base and a script of it."""
    return f"""\
      import {PLACE}/image.nix {{
        inherit runCommand rootrun;
        base = {PLACE}/rich.tar;
        script = {PLACE}/scripts/{script}.sh;
        options = "{options}";
        attributes = {setting.attributes};
      }}
    """


def shell_build(setting: Setting, script: str) -> str:
    """Return the expression of a derivation that runs the shell ``script``."""
    return f"runCommand \"made-by-shell\" {setting.attributes} ''{script}''"


def build(machine: Machine, setting: Setting, expression: str, *options: str) -> Answer:
    """Build the expression, which must work; stdout is where the output is in the guest.

    ``options`` are those of nix-build.
    """
    place = setting.place
    machine.put_text(f"{place}/default.nix", _PACKAGES + expression)
    nix = f"nix-build --store {place}/store --no-out-link {shlex.join(options)}"
    run = f"cd {place} && NIX_CONF_DIR={place} HOME={place} {nix}"
    answer = machine.execute(run, user=setting.user, timeout_s=_TIMEOUT_S)
    assert answer.status == 0, answer.stderr
    return answer._replace(stdout=f"{place}/store{answer.stdout.strip()}")
