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

_CONFIGURATION = """\
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
_CLEAN = "rm setup.sh; echo left: $(ls -A . /tmp | grep -v -e : -e rrtest)"

REFUSE_XATTRS = """\
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
first = {"x86_64": 188, "aarch64": 5}[os.uname().machine]
refused = range(first, first + 6)  # setxattr, lsetxattr, fsetxattr; getxattr, lgetxattr, fgetxattr
allow, answer = 0x7FFF0000, 0x00050000 | 95  # EOPNOTSUPP
instructions = [(0x20, 0, 0, 0)]
instructions += [(0x15, len(refused) - n, 0, number) for n, number in enumerate(refused)]
instructions += [(0x06, 0, 0, allow), (0x06, 0, 0, answer)]
code = b"".join(struct.pack("HBBI", *one) for one in instructions)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxQ", len(instructions), ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, program) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""A program that runs another one under the filter that newer versions of Nix have in addition."""


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
        ("refuse.py", REFUSE_XATTRS),
        ("nix.conf", _CONFIGURATION),
        ("setup.sh", script),
        ("build.sh", command),
        ("default.nix", _EXPRESSION.format(path=f"{installation()}/bin:/usr/bin", base=base)),
    ):
        place.write(name, content)
    argv: list[str | Path] = [require_program("nix-build"), "default.nix", "--no-out-link"]
    argv += ["--store", _store(place), "--option", "sandbox-paths", _sandbox_paths(), *options]
    environment = {"NIX_CONF_DIR": os.fspath(place.path), "HOME": os.fspath(place.path)}
    return run_as(argv, account=place.account, env=environment, cwd=place.path)


def _store(place: Workplace) -> Path:
    return place.path / "nix-store"


def on_host(place: Workplace, path: str) -> Path:
    """Return where a path of the store is, which the sandbox and Nix call /nix/store."""
    return _store(place) / path.lstrip("/")


def _sandbox_paths() -> str:
    """Return what of the host the builder sees, with the interpreter of the installation."""
    paths = ["/usr", "/bin=/usr/bin", "/lib=/usr/lib", "/lib64=/usr/lib64", installation()]
    if not sys.base_prefix.startswith("/usr"):
        paths.append(sys.base_prefix)
    return " ".join(map(str, paths))
