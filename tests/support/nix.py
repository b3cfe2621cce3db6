"""rootrun as the builder of a derivation, in the sandbox that Nix itself makes.

Nix builds into a store of its own below the workplace, without network and without
a daemon. What the builder runs is the host's: its /usr and the session's installation.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.program import installation, run_as
from tests.support.require import require_program
from tests.support.workplace import Workplace

CONFIGURATION = """\
experimental-features = nix-command
build-users-group =
sandbox = true
sandbox-fallback = false
substituters =
"""

_EXPRESSION = """\
derivation {{
  name = "out.tar";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-euc" (builtins.readFile ./build.sh) ];
  PATH = "{path}";
  base = builtins.path {{ path = {base}; name = "base.tar"; }};
  script = builtins.path {{ path = ./setup.sh; name = "setup.sh"; }};
  refuse = builtins.path {{ path = ./refuse.py; name = "refuse.py"; }};
}}
"""

# Not by its path in the store: the history of the image has the name of the script.
_RUN = "cp $script setup.sh; {wrapper} rootrun --from $base --script setup.sh -o $out {options}"
# What is large is removed by a process that outlives the run.
_REMOVED = "while grep -qsx rootrun-removal /proc/[0-9]*/comm; do sleep 0.1; done"
_CLEAN = f"{_REMOVED}; rm setup.sh; echo left: $(ls -A . /tmp | grep -v -e : -e rrtest)"

REFUSE = """\
import ctypes, os, struct, sys
LOAD, EQUAL, ANY_BIT, ANSWER = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO, NOT_PERMITTED, NOT_SUPPORTED = 0x7FFF0000, 0x00050000, 1, 95
is_intel = os.uname().machine == "x86_64"
# setxattr, lsetxattr, fsetxattr; getxattr, lgetxattr, fgetxattr
first = 188 if is_intel else 5
attributes = range(first, first + 6)
# By number, the argument that is a mode: of chmod, fchmod, fchmodat, fchmodat2.
modes = {90: 1, 91: 1, 268: 2, 452: 2} if is_intel else {52: 1, 53: 2, 452: 2}
instructions = [(LOAD, 0, 0, 0)]
for number in attributes:
    instructions += [(EQUAL, 0, 1, number), (ANSWER, 0, 0, ERRNO | NOT_SUPPORTED)]
for number, argument in modes.items():
    instructions += [(EQUAL, 0, 4, number), (LOAD, 0, 0, 16 + 8 * argument)]
    instructions += [(ANY_BIT, 0, 1, 0o6000), (ANSWER, 0, 0, ERRNO | NOT_PERMITTED)]
    instructions += [(ANSWER, 0, 0, ALLOW)]
instructions += [(ANSWER, 0, 0, ALLOW)]
code = b"".join(struct.pack("HBBI", *one) for one in instructions)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxQ", len(instructions), ctypes.addressof(buffer))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, program) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""A program that runs another one under the filter that newer versions of Nix have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NixBuild:
    """A build that worked. ``log`` is what it wrote, ``output`` the image on this host."""

    log: str
    output: Path


def nix_rootrun(
    place: Workplace,
    script: str,
    *,
    base: Path,
    options: Sequence[str] = (),
    refuse_xattrs: bool = False,
    check: bool = False,
) -> NixBuild:
    """Run ``script`` on ``base`` in a sandboxed build of ``place``'s account; it must work.

    It must leave nothing behind in its directory and in /tmp. ``refuse_xattrs`` as newer
    versions of Nix do; ``check`` has Nix build it once more and compare.
    """
    wrapper = "python3 $refuse" if refuse_xattrs else ""
    command = f"{_RUN.format(wrapper=wrapper, options=' '.join(options))}; {_CLEAN}"
    done = try_nix(place, script, base=base, command=command)
    log = done.stderr.decode()
    assert done.returncode == 0, log
    assert "\nleft:\n" in log, log
    if check:
        again = try_nix(place, script, base=base, command=command, options=["--check"])
        assert again.returncode == 0, again.stderr.decode()
    return NixBuild(log=log, output=on_host(place, done.stdout.decode().strip()))


def try_nix(
    place: Workplace, script: str, *, base: Path, command: str, options: Sequence[str] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Build a derivation whose builder is the shell ``command``, whatever comes of it.

    Its environment has rootrun on the PATH, and ``base``, ``script`` and ``out`` as paths
    of the store. ``options`` are those of nix-build.
    """
    for name, content in (
        ("refuse.py", REFUSE),
        ("setup.sh", script),
        ("build.sh", command),
    ):
        place.write(name, content)
    expression = _EXPRESSION.format(path=f"{installation()}/bin:/usr/bin", base=base)
    return nix_build(place, expression, *options)


def nix_build(
    place: Workplace, expression: str, *options: str
) -> subprocess.CompletedProcess[bytes]:
    """Build ``expression`` in the sandbox, whatever comes of it; ``options`` of nix-build."""
    place.write("default.nix", expression)
    argv = ["nix-build", "default.nix", "--no-out-link"]
    return run_nix(place, *argv, "--option", "sandbox-paths", sandbox_paths(), *options)


def run_nix(place: Workplace, program: str, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Run a program of Nix on the store of ``place``."""
    place.write("nix.conf", CONFIGURATION)
    argv: list[str | Path] = [require_program(program), *args, "--store", _store(place)]
    environment = {"NIX_CONF_DIR": os.fspath(place.path), "HOME": os.fspath(place.path)}
    return run_as(argv, account=place.account, env=environment, cwd=place.path)


def _store(place: Workplace) -> Path:
    return place.path / "nix-store"


def on_host(place: Workplace, path: str) -> Path:
    """Return where a path of the store is, which the sandbox and Nix call /nix/store."""
    return _store(place) / path.lstrip("/")


def sandbox_paths() -> str:
    """Return what of the host the builder sees, with the interpreter of the installation."""
    paths = ["/usr", "/bin=/usr/bin", "/lib=/usr/lib", "/lib64=/usr/lib64", installation()]
    if not sys.base_prefix.startswith("/usr"):
        paths.append(sys.base_prefix)
    return " ".join(map(str, paths))
