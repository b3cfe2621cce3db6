"""What a warm run loads: each module is a part of each run's time, and is to be worth it."""

import os
import re
import sysconfig
from pathlib import Path

import pytest

from tests.support.program import installation
from tests.support.traced import Call, traced_run
from tests.support.workplace import Workplace

# What a module more costs is told by ``python -X importtime``, or valgrind --tool=callgrind.
_STANDARD = """
_ctypes _json base64 bisect collections collections.abc contextlib copyreg ctypes ctypes._endian
encodings encodings.aliases encodings.ascii encodings.utf_8 enum fnmatch functools json
json.decoder json.encoder json.scanner keyword operator pathlib re re._casefix re._compiler
re._constants re._parser reprlib resource shlex signal struct types warnings
"""
_OTHERS = "_prctl prctl"
_OURS = {
    "": """
        __main__ annotation attempt dataclass errors loading log namedtuple pipeline plan
        places progress request result sha256 steps
    """,
    "cli": """
        commands config_values grammar image_values main messages named_files options parser
        plain_words progress report request run signals stdout terminal values
    """,
    "compose": """
        base_image copy_in copy_place copy_source emulation pull
    """,
    "fakeroot": """
        calls conditions filters level ownership supervisor
    """,
    "image": """
        archive archive_body archive_documents archive_member archive_sink archive_v1 blob
        blob_copy compression compressor config derive digest document edits files history image
        layer_output layout manifest output_file platform reference sink source stream written
    """,
    "layer": """
        attributes checksum compare content crc cursor diff entry header member metadata names
        pack pax policy presence reach record removal seal source sparse stack tar_index
        tar_writer tree unheld walk whiteout
    """,
    "rootfs": """
        backend base_view extra_layer mount_points overlay scratch space unpack verification
    """,
    "sandbox": """
        accounts beneath bpf channel child conditions container denials detached emulation
        execution forking helper idmap idmap_choice init limits monitor mount_api
        mount_operations mounts network notify overlay packets refusal restriction running spec
        usage userns wire
    """,
    "sandbox.syscalls": """
        inspection libc mounting own
    """,
    "store": """
        entry layer_store lock private trust verified
    """,
}


@pytest.fixture
def calls(root_workplace: Workplace) -> list[Call]:
    """Return the files that a run opens, with all that is cached of its base."""
    base = root_workplace.base()
    os.utime(base, (base.stat().st_mtime - 60,) * 2)  # one of this second may change unseen
    args = ["--from", str(base), "-o", "out.tar", "--", "true"]
    for _ in range(2):
        assert root_workplace.run(*args).returncode == 0
    return traced_run(args, "openat,open", cwd=root_workplace.path)


def _loaded(calls: list[Call]) -> tuple[set[str], set[str]]:
    """Return the modules of files that were opened: of the standard library, and others."""
    standard, others = set(), set()
    library = Path(sysconfig.get_path("stdlib")).name
    for call in calls:
        path = call.arguments.split('"')[1]
        if call.result < 0 or not path.endswith((".pyc", ".so")):
            continue
        name = re.sub(r"\.(cpython-|abi3).*|\.so$", "", path.replace("__pycache__/", ""))
        if name.startswith(f"{installation()}/lib/"):
            others.add(name.removeprefix(f"{installation()}/lib/").replace("/", "."))
        elif f"/{library}/" in name:
            own = name.partition(f"/{library}/")[2].removeprefix("lib-dynload/")
            standard.add(own.replace("/", ".").removesuffix(".__init__"))
    return standard, others


@pytest.mark.root
@pytest.mark.userns
def test_warm_run_loads_these_modules_and_no_others(calls: list[Call]) -> None:
    standard, others = _loaded(calls)
    assert standard <= set(_STANDARD.split())
    ours = {
        f"rootrun.{folder}.{name}".replace("..", ".")
        for folder, names in _OURS.items()
        for name in ("__init__", *names.split())
    }
    assert others <= {*_OTHERS.split(), *ours}
    assert "rootrun.pipeline" in others


@pytest.mark.root
@pytest.mark.userns
def test_warm_run_compiles_nothing(calls: list[Call]) -> None:
    opened = {call.arguments.split('"')[1] for call in calls if call.result >= 0}
    assert not {path for path in opened if path.endswith((".py", ".pth"))}
    written = [call.arguments for call in calls if "O_CREAT" in call.arguments]
    assert written
    assert not [arguments for arguments in written if ".pyc" in arguments]
