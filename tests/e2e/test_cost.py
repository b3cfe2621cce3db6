"""What a run costs: the modules it loads, its memory; and what it tells where it takes long."""

import json
import os
import pty
import re
import subprocess
import threading
from pathlib import Path
from typing import cast

import pytest

from tests.support.big_image import Packing, write_big_archive
from tests.support.program import (
    _interpreter,
    clean_environment,
    installation,
    run_python,
)
from tests.support.workplace import Workplace, busybox_layer, content_of

pytestmark = pytest.mark.userns

HEAVY = {
    *("_bz2", "_lzma", "_socket", "asyncio", "backports.zstd", "bz2", "gzip", "importlib.metadata"),
    *("isal", "lzma", "multiprocessing", "psutil", "pyroute2", "shutil", "socket", "sqlite3"),
    *("dataclasses", "inspect", "logging", "ssl", "subprocess", "tarfile", "tempfile", "unittest"),
    *("threading", "traceback", "urllib.request", "zipfile"),
    "zstandard",
}
"""What no warm run of a plain archive has any use for.

urllib.parse comes with pathlib.
"""

SHOW_MODULES = """
import sys
from rootrun.cli.main import main
status = main({argv!r})
print(*sorted(sys.modules), sep="\\n")
sys.exit(status)
"""
MEASURE = """
import json, resource, subprocess
status = subprocess.run({argv!r}, stdout=subprocess.DEVNULL).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([status, peak * 1024]))
"""
BIG_BYTES = 600 << 20
LIMIT_BYTES = 100 << 20


@pytest.mark.parametrize(
    "output",
    [("-o", "o.tar"), ("-o", "oci:lay"), ("--json", "-o", "oci-archive:a.tar")],
    ids=["docker-archive", "layout", "oci-archive"],
)
def test_a_warm_run_loads_no_heavy_module(
    output: tuple[str, ...], any_workplace: Workplace
) -> None:
    any_workplace.base()
    any_workplace.write("setup.sh", "touch /x\n")
    argv = ["--from", "base.tar", "--script", "setup.sh", *output]
    for _ in range(2):
        done = run_python(
            SHOW_MODULES.format(argv=argv), account=any_workplace.account, cwd=any_workplace.path
        )
        assert done.returncode == 0, done.stderr.decode()
    modules = set(done.stdout.decode().splitlines())
    assert "rootrun.pipeline" in modules
    # What the kernel cannot do is asked about over a socket, but only with one uid it ever is here.
    has_one_id = bool(any_workplace.account and not any_workplace.account.subids)
    assert ("rootrun.fakeroot.dispatch" in modules) == has_one_id
    assert modules & HEAVY == {"_socket"}


@pytest.fixture(scope="module", params=["plain", "gzip layer", "gzip archive"])
def big_base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of 600 MiB, packed in each way; root's alone."""
    return write_big_archive(
        tmp_path_factory.mktemp("big") / "base.tar",
        busybox_layer(),
        big_file="big",
        size_bytes=BIG_BYTES,
        packing=cast(Packing, request.param),
    )


@pytest.mark.slow
def test_memory_stays_flat_whatever_the_base_is(big_base: Path, root_workplace: Workplace) -> None:
    argv = [os.fspath(installation() / "bin" / "rootrun"), "--from", os.fspath(big_base)]
    options = ["--cache-dir", "c", "-o", "o.tar"]
    for script in ("stat -c %s /big > /said", "cp /big /copy"):
        command = [*argv, *options, "--", "/bin/sh", "-c", script]
        done = run_python(MEASURE.format(argv=command), cwd=root_workplace.path)
        assert done.returncode == 0, done.stderr.decode()
        status, peak_bytes = json.loads(done.stdout)
        assert status == 0, done.stderr.decode()
        assert peak_bytes < LIMIT_BYTES
        if "said" in script:
            output = root_workplace.path / "o.tar"
            assert content_of(output, "said") == b"%d\n" % BIG_BYTES


@pytest.fixture
def base_of_many_chunks(workplace: Workplace) -> Workplace:
    """A workplace with a base whose upper layer is long enough to be told of."""
    write_big_archive(
        workplace.path / "base.tar",
        busybox_layer(),
        big_file="big",
        size_bytes=40 << 20,
        packing="plain",
    )
    return workplace


def test_long_stages_are_drawn_on_a_terminal(base_of_many_chunks: Workplace) -> None:
    shown = shown_by(base_of_many_chunks, is_terminal=True)
    assert re.search(r"unpacking layer 2 of 2 \[#+ *\] +\d+% of 40\.0 MiB, \d", shown)
    assert re.search(r"packing the layer: [\d.]+ MiB, [\d.]+ [MG]iB/s", shown)
    assert re.search(r"\r\x1b\[Krootrun: layer: 1 entr[^\r\n]*\r\n$", shown)


def test_long_stages_are_told_in_lines_elsewhere(base_of_many_chunks: Workplace) -> None:
    shown = shown_by(base_of_many_chunks, is_terminal=False)
    assert "\r" not in shown
    assert "\x1b" not in shown
    assert re.search(r"^rootrun: unpacking layer 2 of 2: 40\.0 MiB in \d+\.\d s, ", shown, re.M)
    assert re.search(r"^rootrun: packing the layer: 40\.0 MiB in \d+\.\d s, ", shown, re.M)


IMPATIENT = """
import sys
sys.path.insert(0, {libraries!r})
from rootrun.cli import progress
from rootrun.cli.main import main
progress._BAR_AFTER_S = progress._REDRAW_S = 0
progress._LINE_AFTER_S = -1
sys.exit(main(["--from", "base.tar", "--no-cache", "-o", "o.tar", "--", "cp", "/big", "/copy"]))
"""
"""A run that takes every stage for a long one."""


def shown_by(workplace: Workplace, *, is_terminal: bool) -> str:
    """Return what such a run shows on standard error, a terminal or a pipe."""
    reader, writer = pty.openpty() if is_terminal else os.pipe()
    shown: list[bytes] = []
    drain = threading.Thread(target=_drain, args=(reader, shown))
    drain.start()
    account = workplace.account
    assert account is not None
    source = IMPATIENT.format(libraries=os.fspath(installation() / "lib"))
    try:
        done = subprocess.run(
            [_interpreter(), "-I", "-c", source],
            stdout=subprocess.DEVNULL,
            stderr=writer,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            env={**clean_environment(account), "TERM": "xterm"},
            cwd=workplace.path,
            check=False,
        )
    finally:
        os.close(writer)
        drain.join()
        os.close(reader)
    text = b"".join(shown).decode()
    assert done.returncode == 0, text
    return text


def _drain(reader: int, into: list[bytes]) -> None:
    try:
        while chunk := os.read(reader, 65536):
            into.append(chunk)
    except OSError:
        return  # EIO: so a terminal says that nobody can write to it any more
