"""The cache makes each layer once, whole, and only trusts what it made."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rootrun.errors import LayerError, StoreError
from rootrun.store.layer_store import open_store
from tests.store.damage import FOUND_AT_ONCE, OWNERS, STALE
from tests.store.layers import CONTENT, KEY, KIND, CountedUnpack, filled_cache
from tests.store.test_trust import in_another_boot
from tests.support.program import run_python
from tests.support.users import Account

# Fetches KEY into the cache sys.argv[1]; each extraction adds a line to the file sys.argv[2].
FETCH = """
import os, sys
from pathlib import Path
from rootrun.store.layer_store import open_store
from tests.store.damage import FOUND_AT_ONCE, OWNERS, STALE
from tests.store.layers import KEY, KIND, CountedUnpack

def note():
    with open(sys.argv[2], "a") as file:
        file.write("unpacked\\n")
    if sys.argv[3:] == ["hang"]:
        print("here", flush=True)
        os.read(0, 1)

with open_store(Path(sys.argv[1]), kind=KIND) as store:
    layer = store.fetch(KEY, CountedUnpack(note))
assert (layer.tree / "d" / "f").read_bytes() == b"content"
"""
CHECKOUT = Path(__file__).parent.parent.parent


def start_fetch(cache: Path, log: Path, *args: str) -> "subprocess.Popen[bytes]":
    """Start another process that fetches KEY."""
    argv = [sys.executable, "-c", FETCH, os.fspath(cache), os.fspath(log), *args]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, cwd=CHECKOUT, stdin=pipe, stdout=pipe, stderr=pipe)


def fetch(cache: Path) -> int:
    """Fetch KEY, check it, and return how often it was unpacked."""
    unpack = CountedUnpack()
    with open_store(cache, kind=KIND) as store:
        layer = store.fetch(KEY, unpack)
    assert (layer.tree / "d" / "f").read_bytes() == b"content"
    assert layer.record.entry_count == 3
    return unpack.count


def test_a_layer_is_unpacked_once(tmp_path: Path) -> None:
    assert [fetch(tmp_path / "cache") for _ in range(3)] == [1, 0, 0]


def test_the_kinds_of_id_maps_have_layers_of_their_own(tmp_path: Path) -> None:
    trees = set()
    for kind in ("root", "single"):
        with open_store(tmp_path, kind=kind) as store:
            trees.add(store.fetch(KEY, CountedUnpack()).tree)
    assert len(trees) == 2


def test_concurrent_runs_share_one_extraction(tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [start_fetch(tmp_path / "cache", log) for _ in range(8)]
    try:
        told = [process.communicate(timeout=60)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * 8, told
    assert log.read_text() == "unpacked\n"


def test_a_killed_extraction_is_done_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with start_fetch(cache, tmp_path / "log", "hang") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGKILL)
    assert not (cache / "layers-2" / KIND / KEY).exists()
    assert fetch(cache) == 1
    assert os.listdir(cache / "layers-2" / KIND) == [KEY]


def test_a_failed_extraction_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise LayerError("unpack layer: x: is bad")

    with open_store(tmp_path, kind=KIND) as store, pytest.raises(LayerError, match="is bad"):
        store.fetch(KEY, CountedUnpack(fail))
    assert os.listdir(tmp_path / "layers-2" / KIND) == []
    assert fetch(tmp_path) == 1


def test_a_layer_of_another_boot_is_made_again(tmp_path: Path) -> None:
    entry = filled_cache(tmp_path)
    (entry / "tree" / "d" / "f").write_bytes(b"")  # what a power cut can leave
    in_another_boot(entry)
    assert [fetch(tmp_path), fetch(tmp_path)] == [1, 0]


def test_a_synced_layer_of_another_boot_is_used(tmp_path: Path) -> None:
    entry = filled_cache(tmp_path)
    (entry / "made.json").write_text(json.dumps({"boot": "another", "synced": True}))
    assert fetch(tmp_path) == 0


@pytest.mark.parametrize("case", [*FOUND_AT_ONCE, *STALE])
def test_a_damaged_layer_is_made_again(case: str, tmp_path: Path) -> None:
    entry = filled_cache(tmp_path)
    {**FOUND_AT_ONCE, **STALE}[case](entry)
    assert [fetch(tmp_path), fetch(tmp_path)] == [1, 0]


@pytest.mark.parametrize("case", FOUND_AT_ONCE)
def test_damage_that_is_found_is_told(case: str, tmp_path: Path, told: list[str]) -> None:
    FOUND_AT_ONCE[case](filled_cache(tmp_path))
    fetch(tmp_path)
    assert {text.partition(": ")[0] for text in told} == {"the cache is damaged, unpacking again"}


@pytest.mark.root
def test_an_entry_of_somebody_else_is_made_again(tmp_path: Path) -> None:
    OWNERS["owner of the entry"](filled_cache(tmp_path))
    assert [fetch(tmp_path), fetch(tmp_path)] == [1, 0]


_PARTS = ("layers-2", f"layers-2/{KIND}", "locks", "verified")


@pytest.mark.parametrize("part", _PARTS)
@pytest.mark.parametrize("is_link", [False, True], ids=["open to others", "symlink"])
def test_a_part_that_others_can_have_made_is_refused(
    part: str, is_link: bool, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    filled_cache(cache)
    if is_link:
        (cache / part).rename(tmp_path / "outside")
        (cache / part).symlink_to(tmp_path / "outside")
    else:
        (cache / part).chmod(0o770)
    with pytest.raises(StoreError, match=f"{part}: is not a directory of this user's alone"):
        fetch(cache)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o720], ids=oct)
def test_a_cache_that_was_open_to_others_is_so_no_more(mode: int, tmp_path: Path) -> None:
    filled_cache(tmp_path)
    tmp_path.chmod(mode)
    assert fetch(tmp_path) == 0
    assert tmp_path.stat().st_mode & 0o7777 == mode & ~0o022


def test_fetching_notes_the_last_use(tmp_path: Path) -> None:
    record = filled_cache(tmp_path) / "record.json"
    os.utime(record, (1, 1))
    fetch(tmp_path)
    assert record.stat().st_mtime > 1


@pytest.mark.root
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777], ids=oct)
def test_a_cache_is_its_owner_s_alone_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        fetch(tmp_path / "cache")
    finally:
        os.umask(before)
    parts = ["", "layers-2", f"layers-2/{KIND}", "locks", "verified"]
    modes = {part: (tmp_path / "cache" / part).stat().st_mode & 0o7777 for part in parts}
    assert modes == dict.fromkeys(parts, 0o700)


OPEN = """
from pathlib import Path
from rootrun.errors import StoreError
from rootrun.store.layer_store import open_store
try:
    with open_store(Path({!r}), kind="single"):
        print("opened")
except StoreError as error:
    print(error)
"""


def open_as(account: Account, cache: Path) -> str:
    """Open ``cache`` as ``account`` and return what came of it."""
    done = run_python(OPEN.format(os.fspath(cache)), account=account)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_a_cache_of_somebody_else_is_refused(lone: Account, public_path: Path) -> None:
    public_path.chmod(0o777)
    assert open_as(lone, public_path).endswith("belongs to another user")
    assert os.listdir(public_path) == []


def test_a_cache_that_cannot_be_written_is_refused(lone: Account) -> None:
    cache = lone.new_directory()
    assert open_as(lone, cache) == "opened"
    (cache / "layers-2" / "single").chmod(0o500)
    assert open_as(lone, cache).endswith("not writable")
    cache.chmod(0o500)
    assert open_as(lone, cache / "new").endswith("Permission denied")


def test_a_cache_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match="file: File exists"),
        open_store(tmp_path / "file", kind=KIND),
    ):
        pass


def test_a_lock_file_that_is_a_symlink_is_not_followed(tmp_path: Path) -> None:
    filled_cache(tmp_path / "cache")
    (tmp_path / "cache" / "locks" / "store").unlink()
    (tmp_path / "cache" / "locks" / "store").symlink_to(tmp_path / "made-by-the-lock")
    with (
        pytest.raises(StoreError, match="symbolic links"),
        open_store(tmp_path / "cache", kind=KIND),
    ):
        pass
    assert not (tmp_path / "made-by-the-lock").exists()


def test_what_was_unpacked_is_what_the_tar_has(tmp_path: Path) -> None:
    entry = filled_cache(tmp_path)
    assert CONTENT
    assert (entry / "tree" / "d").stat().st_mode & 0o777 == 0o750
    assert os.readlink(entry / "tree" / "l") == "d/f"


def test_what_a_killed_process_left_is_swept_unless_it_is_made_now(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with start_fetch(cache, tmp_path / "log", "hang") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        (making,) = (path for path in cache.rglob(f".{KEY}.making"))
        with open_store(cache, kind=KIND) as store:
            store.sweep(KEY)
            assert making.exists()
            process.kill()
            process.wait()
            store.sweep(KEY)
        assert not making.exists()
