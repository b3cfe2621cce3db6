"""The cache of steps: kept, found again, looked after, and made again where it is damaged."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.errors import StoreError
from rootrun.store.layer_store import open_store
from rootrun.store.maintenance import list_entries, prune_entries, verify_entries
from rootrun.store.step_store import StepRecord, StepStore, key_of
from tests.store.layers import KIND, filled_cache
from tests.store.test_trust import in_another_boot

BLOB = b"the layer"
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
INPUTS = {"the script": "a", "--owner": "root"}
RECORD = StepRecord(INPUTS, "sha256:" + "1" * 64, DIGEST, "gzip", len(BLOB), 3, ("a socket",))
KEY = key_of(INPUTS)


def keep(directory: Path, record: StepRecord = RECORD, blob: bytes = BLOB) -> Path:
    """Keep a step in a cache, and return its entry."""
    with open_store(directory, kind=KIND):
        StepStore(directory).keep(record, lambda path: path.write_bytes(blob))
    return directory / "steps-1" / key_of(record.inputs)


def found(directory: Path, key: str = KEY) -> tuple[StepRecord, bytes] | None:
    """Return what a run finds."""
    with open_store(directory, kind=KIND), StepStore(directory).held(key) as step:
        return step and (step.record, step.blob.read_bytes())


def test_what_was_kept_is_found_by_what_it_was_made_of(tmp_path: Path) -> None:
    assert found(tmp_path) is None
    keep(tmp_path)
    assert found(tmp_path) == (RECORD, BLOB)
    assert found(tmp_path, key_of({**INPUTS, "--owner": "keep"})) is None
    assert found(tmp_path, key_of(dict(reversed(INPUTS.items())))) == (RECORD, BLOB)


def test_what_another_run_kept_meanwhile_stays(tmp_path: Path) -> None:
    keep(tmp_path)
    keep(tmp_path, RECORD._replace(entry_count=4), b"another")
    assert found(tmp_path) == (RECORD, BLOB)


def test_what_fails_to_be_placed_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with open_store(tmp_path, kind=KIND), pytest.raises(StoreError, match="No space left"):
        StepStore(tmp_path).keep(RECORD, fail)
    assert os.listdir(tmp_path / "steps-1") == []


def in_place_of(entry: Path, name: str) -> None:
    """Put a symlink to a file of the same content in place of a file."""
    (entry / name).rename(entry.parent.parent / "elsewhere")
    (entry / name).symlink_to(entry.parent.parent / "elsewhere")


def change_blob(entry: Path) -> None:
    """Change a byte of what was packed."""
    (entry / "blob").write_bytes(b"The layer")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "record": lambda entry: (entry / "record.json").write_bytes(b"x"),
    "no record": lambda entry: (entry / "record.json").unlink(),
    "no blob": lambda entry: (entry / "blob").unlink(),
    "link for a blob": lambda entry: in_place_of(entry, "blob"),
    "open to others": lambda entry: entry.chmod(0o777),
    "another step's record": lambda entry: (entry / "record.json").write_bytes(
        RECORD._replace(inputs={}).to_bytes()
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_entry_is_none_and_is_replaced(case: str, tmp_path: Path) -> None:
    DAMAGE[case](keep(tmp_path))
    assert found(tmp_path) is None
    keep(tmp_path)
    assert found(tmp_path) == (RECORD, BLOB)


@pytest.mark.parametrize("case", [*DAMAGE, "blob"])
def test_verifying_finds_damage_and_removes_the_entry(case: str, tmp_path: Path) -> None:
    entry = keep(tmp_path)
    DAMAGE.get(case, change_blob)(entry)
    (verified,) = verify_entries(tmp_path, id_maps=[])
    assert verified.problem
    assert not entry.exists()


def test_an_entry_of_another_boot_is_trusted_once_it_was_verified(tmp_path: Path) -> None:
    entry = keep(tmp_path)
    in_another_boot(entry)
    assert found(tmp_path) is None
    assert [entry.is_trusted for entry in verify_entries(tmp_path, id_maps=[])] == [True]
    in_another_boot(entry)
    assert found(tmp_path) == (RECORD, BLOB)


def test_steps_are_listed_and_pruned_with_the_layers(tmp_path: Path) -> None:
    filled_cache(tmp_path)
    entry = keep(tmp_path)
    (listed,) = (listed for listed in list_entries(tmp_path) if listed.id_map is None)
    assert (listed.diff_id, listed.size_bytes, listed.entry_count) == (
        RECORD.diff_id,
        len(BLOB),
        3,
    )
    os.utime(entry / "record.json", (1, 1))
    assert [pruned.key for pruned in prune_entries(tmp_path, unused_for_s=60)] == [KEY]
    assert not entry.exists()
    assert [name for name in os.listdir(tmp_path / "locks") if KEY in name] == []


def test_what_is_used_is_not_pruned(tmp_path: Path) -> None:
    entry = keep(tmp_path)
    os.utime(entry / "record.json", (1, 1))
    assert found(tmp_path)
    assert prune_entries(tmp_path, unused_for_s=60) == []


def test_a_discarded_entry_is_gone(tmp_path: Path) -> None:
    keep(tmp_path)
    with open_store(tmp_path, kind=KIND):
        StepStore(tmp_path).discard(KEY)
    assert found(tmp_path) is None


def test_records_are_told_the_one_used_last_first(tmp_path: Path) -> None:
    old, new = ({**INPUTS, "the script": text} for text in "bc")
    for inputs in (old, new):
        keep(tmp_path, RECORD._replace(inputs=inputs))
    os.utime(tmp_path / "steps-1" / key_of(old) / "record.json", (1, 1))
    DAMAGE["record"](keep(tmp_path))
    assert [record.inputs for record in StepStore(tmp_path).records()] == [new, old]


def test_steps_that_lead_elsewhere_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "cache" / "steps-1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="is not a directory of this user's alone"):
        keep(tmp_path / "cache")
