"""Whatever happens to the cache, in whatever order: what it gives is right, or there is an error.

ROOTRUN_EXAMPLES=1000 looks at more orders than a usual run of the tests does.
"""

import hashlib
import io
import json
import os
import signal
import tempfile
from enum import Enum
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rootrun.errors import StoreError
from rootrun.layer.apply import apply_layer
from rootrun.layer.record import LayerRecord
from rootrun.layer.removal import remove_tree
from rootrun.store.layer_store import open_store
from rootrun.store.maintenance import list_entries, prune_entries, verify_entries
from tests.store.children import start_child, status_of
from tests.store.damage import DAMAGE, FOUND_AT_ONCE
from tests.store.layers import KIND
from tests.store.test_trust import in_another_boot
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.unpacking import EVERY_ID

pytestmark = pytest.mark.slow

_TEXTS = (b"first layer", b"second layer", b"third")
_LAYERS = {
    hashlib.sha256(layer).hexdigest(): (text, layer)
    for text in _TEXTS
    for layer in [tarball(directory("d"), file("d/f", text, mode=0o640), symlink("l", "d/f"))]
}
_KEYS = st.sampled_from(sorted(_LAYERS))
_PARTS = st.sampled_from(["layers-2", f"layers-2/{KIND}", "locks", "verified"])
_MOST_OPERATIONS = 70  # a fetch has about 50; a child may also end before it is killed


class State(Enum):
    """What is known of an entry."""

    MISSING = "missing"
    WHOLE = "whole"
    DAMAGED = "damaged, which a run finds"
    SPOILT = "damaged, which only verifying finds"
    UNKNOWN = "whole or missing: its maker was killed"
    UNSURE = "whole, missing or spoilt: so was one who found it spoilt"


def unpack(key: str, tree_fd: int) -> LayerRecord:
    """Unpack the layer ``key``."""
    stream = io.BytesIO(_LAYERS[key][1])
    return apply_layer(stream, tree_fd=tree_fd, ids=EVERY_ID, redirects={})


class Cache(RuleBasedStateMachine):
    """A cache, what happens to it, and what is known of its entries."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="rootrun-cache-"))
        self.directory = self.place / "cache"
        self.states = dict.fromkeys(_LAYERS, State.MISSING)
        self.stale: set[str] = set()  # of another boot, and not synced
        self.synced: set[str] = set()
        with open_store(self.directory, kind=KIND):
            pass

    def teardown(self) -> None:
        """Remove the cache."""
        parent_fd = os.open(self.place.parent, os.O_RDONLY)
        remove_tree(self.place.name, directory_fd=parent_fd)
        os.close(parent_fd)

    def entry(self, key: str) -> Path:
        """Return where an entry is."""
        return self.directory / "layers-2" / KIND / key

    def fetched(self, key: str) -> bool:
        """Fetch a layer, which must be right unless it is spoilt; say whether it was unpacked."""
        made = []

        def note_and_unpack(tree_fd: int) -> LayerRecord:
            made.append(key)
            return unpack(key, tree_fd)

        with open_store(self.directory, kind=KIND) as store:
            layer = store.fetch(key, note_and_unpack)
        if made or self.states[key] not in (State.SPOILT, State.UNSURE):
            assert (layer.tree / "d" / "f").read_bytes() == _LAYERS[key][0]
            assert os.readlink(layer.tree / "l") == "d/f"
            assert layer.record.entry_count == 3
        return bool(made)

    @rule(key=_KEYS)
    def fetch(self, key: str) -> None:
        """Fetch a layer, which is unpacked if it must be."""
        state, is_stale = self.states[key], key in self.stale
        is_made = self.fetched(key)
        if state in (State.WHOLE, State.SPOILT):
            assert is_made == is_stale
        elif state in (State.MISSING, State.DAMAGED):
            assert is_made
        if is_made:
            self.made(key)
        elif state is State.UNKNOWN:
            self.states[key] = State.WHOLE
        elif state is State.UNSURE:
            self.states[key] = State.SPOILT

    def made(self, key: str) -> None:
        """Note that an entry was made anew."""
        self.states[key] = State.WHOLE
        self.stale.discard(key)
        self.synced.discard(key)

    @rule(keys=st.lists(_KEYS, min_size=2, max_size=4), dies_at=st.integers(0, _MOST_OPERATIONS))
    def fetch_at_once(self, keys: list[str], dies_at: int) -> None:
        """Fetch layers at once in children, of which the first may be killed in the middle."""
        children = [
            start_child(partial(self.fetched, key), dies_at=None if index else dies_at)
            for index, key in enumerate(keys)
        ]
        first, *others = [status_of(child) for child in children]
        assert first in (0, -signal.SIGKILL)
        assert set(others) <= {0}
        for key in keys:
            is_spoilt = self.states[key] in (State.SPOILT, State.UNSURE)
            self.states[key] = State.UNSURE if is_spoilt else State.UNKNOWN
            self.stale.discard(key)

    @rule(key=_KEYS, case=st.sampled_from(sorted(DAMAGE)))
    def damage(self, key: str, case: str) -> None:
        """Damage an entry that is whole."""
        if self.states[key] is State.WHOLE:
            DAMAGE[case](self.entry(key))
            is_found = case in FOUND_AT_ONCE
            self.states[key] = State.DAMAGED if is_found else State.SPOILT
            for left in self.directory.glob("outside*"):
                left.rename(self.place / f"{left.name}-{len(os.listdir(self.place))}")

    @rule()
    def boot(self) -> None:
        """Make all entries those of another boot."""
        for key, state in self.states.items():
            if state in (State.WHOLE, State.SPOILT):
                in_another_boot(self.entry(key))
                if key not in self.synced:
                    self.stale.add(key)

    @rule()
    def verify(self) -> None:
        """Verify: each damage is found, and is no more; what is whole is trusted for good."""
        found = {
            entry.key: entry.problem
            for entry in verify_entries(self.directory, id_maps=[KIND])
            if not entry.key.startswith(".")
        }
        for key, state in self.states.items():
            if state in (State.DAMAGED, State.SPOILT):
                assert found[key]
            elif state is State.WHOLE:
                assert found[key] is None
            is_whole = key in found and found[key] is None
            self.states[key] = State.WHOLE if is_whole else State.MISSING
            if is_whole:
                self.synced.add(key)
                self.stale.discard(key)
        assert all(entry.is_trusted and not entry.problem for entry in list_entries(self.directory))

    @rule()
    def prune(self) -> None:
        """Remove all."""
        prune_entries(self.directory, unused_for_s=0)
        assert list_entries(self.directory) == []
        self.states = dict.fromkeys(_LAYERS, State.MISSING)
        self.stale.clear()
        self.synced.clear()

    @rule(key=_KEYS, part=_PARTS, is_link=st.booleans())
    def lead_elsewhere(self, key: str, part: str, is_link: bool) -> None:
        """Put a symlink in place of a part, or open it to others; put it right again."""
        path, aside = self.directory / part, self.place / "aside"
        if is_link:
            path.rename(aside)
            path.symlink_to(aside)
        else:
            path.chmod(0o777)
        with pytest.raises(StoreError, match="this user's alone"):
            self.fetched(key)
        with pytest.raises(StoreError, match="this user's alone"):
            list(verify_entries(self.directory, id_maps=[KIND]))
        if is_link:
            path.unlink()
            aside.rename(path)
        else:
            path.chmod(0o700)

    @invariant()
    def what_is_listed_can_be_told(self) -> None:
        """List the cache, whatever is in it."""
        json.dumps([entry.problem for entry in list_entries(self.directory)])


TestCache = Cache.TestCase
TestCache.settings = settings(
    max_examples=int(os.environ.get("ROOTRUN_EXAMPLES", "25")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
