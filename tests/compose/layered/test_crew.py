"""Work that is divided among children."""

import os
from pathlib import Path

from rootrun.compose.layered.crew import done_by_crew

_COUNT = 20_000  # more than fit into a pipe as it is made


def test_each_number_is_worked_on_once(tmp_path: Path) -> None:
    def work(number: int) -> str:
        os.close(os.open(tmp_path / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        return f"did {number}"

    said = list(done_by_crew(_COUNT, work, name="count"))
    assert said == [f"did {number}" for number in range(_COUNT)]
