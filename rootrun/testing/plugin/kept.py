"""Images of the machines of failed tests, for who wants to look into them."""

import re
import shlex
import time
from pathlib import Path

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import RootrunError

if TYPE_CHECKING:
    from rootrun.testing.link import MachineLink

_WITHIN_S = 300.0
_LONGEST_NAME = 100


class Kept:
    """A directory for the images of this process, made for the first one and never removed."""

    def __init__(self) -> None:
        self._directory: Path | None = None

    def keep(self, link: "MachineLink", *, test: str) -> str:
        """Write the state of a machine, and return a line that tells how to look into it."""
        if not link.has_child:
            return "not kept: it was closed before the test had failed"
        from rootrun.testing.commit import CommitOptions, commit

        output = self._path(f"{test}-{link.name}")
        try:
            commit(
                link,
                f"docker-archive:{output}",
                CommitOptions(),
                deadline_s=time.monotonic() + _WITHIN_S,
            )
        except RootrunError as error:
            return f"not kept: {error}"
        return f"kept: rootrun shell --from {shlex.quote(str(output))}"

    def _path(self, name: str) -> Path:
        import tempfile

        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="rootrun-kept-"))
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", name)[-_LONGEST_NAME:]
        return self._directory / f"{plain}.tar"
