"""The layers of a run."""

from collections.abc import Iterator

import pytest

from rootrun.layer.diff import Change
from rootrun.steps import _closed_at_end


def test_changes_are_closed_while_the_error_that_ends_them_is_held() -> None:
    said = []

    def changes() -> Iterator[Change]:
        try:
            said.append("mounted")
            yield from ()
            yield None  # type: ignore[misc] # what it is does not matter
        finally:
            said.append("unmounted")

    with pytest.raises(KeyboardInterrupt), _closed_at_end(changes()) as found:
        raise KeyboardInterrupt(next(iter(found)))
    assert said == ["mounted", "unmounted"]
