"""The cache can be listed, verified and pruned; damage is found and removed."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.errors import StoreError
from rootrun.store.layer_store import open_store
from rootrun.store.maintenance import list_entries, prune_entries, verify_entries
from rootrun.store.trust import is_trusted
from tests.store.damage import DAMAGE, OWNERS, Damage, change_content
from tests.store.layers import KEY, KIND, filled_cache
from tests.store.test_trust import in_another_boot

DAY_S = 86400
ACTIONS: dict[str, Callable[[Path], object]] = {
    "list": list_entries,
    "verify": lambda cache: list(verify_entries(cache, id_maps=[KIND])),
    "prune": lambda cache: prune_entries(cache, unused_for_s=0),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_verifying_finds_damage_and_removes_the_entry(case: str, tmp_path: Path) -> None:
    assert_found(DAMAGE[case], tmp_path)


@pytest.mark.root
@pytest.mark.parametrize("case", OWNERS)
def test_verifying_finds_other_owners(case: str, tmp_path: Path) -> None:
    assert_found(OWNERS[case], tmp_path)


def assert_found(damage: Damage, tmp_path: Path) -> None:
    """Damage one of two entries: it is told and removed, the other one is whole."""
    damaged = filled_cache(tmp_path, KEY, "cd" * 32)
    damage(damaged)
    entries = {entry.key: entry for entry in verify_entries(tmp_path, id_maps=[KIND])}
    assert entries[KEY].problem
    assert not entries[KEY].is_trusted
    assert not os.path.lexists(damaged)
    assert entries["cd" * 32].problem is None
    assert [entry.key for entry in list_entries(tmp_path)] == ["cd" * 32]


def test_verifying_makes_what_is_whole_trusted_in_later_boots(tmp_path: Path) -> None:
    entry = filled_cache(tmp_path)
    in_another_boot(entry)
    assert [entry.is_trusted for entry in list_entries(tmp_path)] == [False]
    assert [entry.is_trusted for entry in verify_entries(tmp_path, id_maps=[KIND])] == [True]
    in_another_boot(entry)
    assert is_trusted(entry)


def test_what_other_ids_made_is_told_and_stays(tmp_path: Path) -> None:
    entry = filled_cache(tmp_path)
    change_content(entry / "tree" / "d" / "f")
    (told,) = verify_entries(tmp_path, id_maps=["single"])
    assert (told.problem, told.is_trusted) == ("made by other ids than those here", False)
    assert entry.exists()


@pytest.mark.parametrize("part", ["layers-2", f"layers-2/{KIND}", "locks", "verified"])
@pytest.mark.parametrize("action", ["list", "verify", "prune"])
def test_what_a_part_of_the_cache_leads_to_is_left_alone(
    action: str, part: str, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    filled_cache(cache)
    outside = tmp_path / "outside"
    (cache / part).rename(outside)
    (outside / "kept").touch()
    os.utime(outside / "kept", (1, 1))
    (cache / part).symlink_to(outside)
    with pytest.raises(StoreError, match="is not a directory of this user's alone"):
        ACTIONS[action](cache)
    assert (outside / "kept").exists()


def test_what_a_killed_run_left_is_told_and_removed(tmp_path: Path) -> None:
    left = filled_cache(tmp_path).with_name(f".{KEY}.making")
    (left / "tree").mkdir(parents=True)
    (told,) = (entry for entry in list_entries(tmp_path) if entry.problem)
    assert told.problem == "left unfinished by a run that was killed"
    list(verify_entries(tmp_path, id_maps=[KIND]))
    assert not left.exists()


def test_entries_are_listed_with_their_sizes_least_recently_used_first(tmp_path: Path) -> None:
    keys = ["c" * 64, "a" * 64, "b" * 64]
    entry = filled_cache(tmp_path, *keys)
    for age, key in enumerate(keys):
        used_s = time.time() - age * DAY_S
        os.utime(entry.with_name(key) / "record.json", (used_s, used_s))
    entries = list_entries(tmp_path)
    assert [entry.key for entry in entries] == keys[::-1]
    assert {(entry.size_bytes, entry.entry_count, entry.id_map) for entry in entries} == {
        (7, 3, KIND)
    }


def test_pruning_removes_what_was_not_used_for_that_long(tmp_path: Path) -> None:
    old = filled_cache(tmp_path, KEY, "cd" * 32)
    os.utime(old / "record.json", (time.time() - 3 * DAY_S,) * 2)
    (tmp_path / "verified" / "blob").touch()
    os.utime(tmp_path / "verified" / "blob", (1, 1))
    pruned = prune_entries(tmp_path, unused_for_s=2 * DAY_S)
    assert [entry.key for entry in pruned] == [KEY]
    assert [entry.key for entry in list_entries(tmp_path)] == ["cd" * 32]
    assert os.listdir(tmp_path / "verified") == []
    assert sorted(os.listdir(tmp_path / "locks")) == [f"{KIND}.{'cd' * 32}", "store"]


def test_pruning_everything_leaves_a_cache_that_works(tmp_path: Path) -> None:
    filled_cache(tmp_path)
    prune_entries(tmp_path, unused_for_s=0)
    assert list_entries(tmp_path) == []
    assert filled_cache(tmp_path).is_dir()


def test_pruning_while_a_run_holds_the_cache_is_refused(tmp_path: Path) -> None:
    filled_cache(tmp_path)
    with (
        open_store(tmp_path, kind=KIND),
        pytest.raises(StoreError, match="a run is using it"),
    ):
        prune_entries(tmp_path, unused_for_s=0)
    assert len(list_entries(tmp_path)) == 1


@pytest.mark.parametrize("action", ["verify", "prune"])
def test_where_there_is_no_cache_nothing_is_made(action: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no cache"):
        ACTIONS[action](tmp_path)
    assert os.listdir(tmp_path) == []


def test_stray_files_in_the_cache_are_passed_over(tmp_path: Path) -> None:
    filled_cache(tmp_path)
    (tmp_path / "layers-2" / "stray").touch()
    assert [entry.key for entry in list_entries(tmp_path)] == [KEY]


def test_a_cache_that_is_not_there_lists_as_empty(tmp_path: Path) -> None:
    assert list_entries(tmp_path / "gone") == []
