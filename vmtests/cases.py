"""The scripts of the oracle: our own, those of the programs' tests, and ones made by chance."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.e2e.programs.pair import SCRIPTS as PROGRAMS
from tests.support.packages import SERVICES
from vmtests.oracle import Case

_OWN = Path(__file__).parent / "scripts"
_SEEDS = range(1, 13)
_OPERATIONS = 30
# What has another base, or makes the base.
_NOT_HERE = {"install", "tools"}

_PATHS = st.sampled_from(
    [
        *("old/file", "old/other", "old/dir", "old/dir/f", "old/suid", "old/setuid-data", "old"),
        *("old/hard1", "old/hard2", "old/link", "tree", "tree/one", "tree/one/seen", "tree/two"),
        *("deep", "deep/a", "deep/a/b", "deep/a/b/c", "empty", "new", "new/x", "tree/new"),
        *("base-dev/null", "pipe", "link-to-dir", "odd", "old/dir/new"),
    ]
)
_IDS = st.sampled_from([0, 0, 1, 5, 1000, 65535])
_MODES = st.sampled_from(["600", "755", "4755", "2755", "6711", "1777", "0", "u+s", "go-rwx"])
_COMMANDS = [
    "echo {word} > {one}",
    "printf {word} >> {one}",
    "chmod {mode} {one}",
    "chown {uid}:{gid} {one}",
    "chown -h {uid} {one}",
    "chown -R {uid}:{gid} {one}",
    "chgrp {gid} {one}",
    "mkdir {one}",
    "mkdir -p {one}/made/deeper",
    "rm -rf {one}",
    "rm -rf {one}; mkdir -m {mode} {one}",
    "rm -rf {one}; echo {word} > {one}",
    "mv {one} {two}",
    "mv -f {one} {two}",
    "cp -a {one} {two}",
    "cp -a {one} {one}.copy && rm -rf {one} && mv {one}.copy {one}",
    "cp {one} {two}",
    "ln {one} {two}",
    "ln -s {two} {one}",
    "ln -sfn {word} {one}",
    "mkfifo {one}",
    "mknod {one} c {uid} {gid}",
    "touch {one}",
    "tar -cf /tmp/t -C /old . && tar -xpf /tmp/t -C {one}; rm -f /tmp/t",
]


def selected(request: pytest.FixtureRequest, cases: list[Case]) -> list[Case]:
    """Return those of ``cases`` that this session is to test: no other is run in a guest."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = [item.callspec.params.get("case") for item in tests if hasattr(item, "callspec")]
    return [case for case in cases if case in chosen]


def own_cases() -> list[Case]:
    """Return the scripts of this folder, on a busybox."""
    return [Case(path.stem, "busybox", path.read_text()) for path in sorted(_OWN.glob("*.sh"))]


def program_cases() -> list[Case]:
    """Return the scripts with which real programs are tried, on a Debian with tools."""
    paths = [path for path in sorted(PROGRAMS.glob("*.sh")) if path.stem not in _NOT_HERE]
    return [Case(path.stem, "tools", path.read_text()) for path in paths]


def install_case() -> Case:
    """Return the installation of packages with users and services, on a minimal Debian."""
    script = (PROGRAMS / "install.sh").read_text()
    return Case("install", "debian", f"PACKAGES='{' '.join(SERVICES)}'\n{script}")


def random_cases() -> list[Case]:
    """Return scripts of operations by chance, always the same ones for one Hypothesis."""
    return [Case(f"random-{number}", "busybox", _script(number)) for number in _SEEDS]


def _script(number: int) -> str:
    drawn: list[list[str]] = []

    @seed(number)
    @settings(
        max_examples=4,  # the first one is the smallest
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(_operation(), min_size=_OPERATIONS, max_size=_OPERATIONS))
    def draw(operations: list[str]) -> None:
        drawn.append(operations)

    draw()
    # Opening a fifo would wait for its other end.
    lines = [f"{{ {operation}; }} > /dev/null 2>&1 || :" for operation in drawn[-1]]
    return "\n".join([f"# Operations by chance, seed {number}.", "cd /", *lines, ""])


@st.composite
def _operation(draw: st.DrawFn) -> str:
    command = draw(st.sampled_from(_COMMANDS))
    one, two = draw(_PATHS), draw(_PATHS)
    operation = command.format(
        one=one,
        two=two,
        word=draw(st.sampled_from(["one", "two", "old"])),
        mode=draw(_MODES),
        uid=draw(_IDS),
        gid=draw(_IDS),
    )
    opened = {"echo": [one], "prin": [one], "cp {": [one, two], "cp -": [two]}.get(command[:4], [])
    return " && ".join([*(f"[ ! -p {path} ] && [ ! -c {path} ]" for path in opened), operation])
