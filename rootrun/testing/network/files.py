"""Files of a machine that its networks need: of the keeper's own, mounted over the image's.

So no layer gets them.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from rootrun.dataclass import replace
from rootrun.request import Bind, Request
from rootrun.testing.network import hosts, outgoing
from rootrun.testing.plan import MachinePlan


def with_network_files(request: Request, plan: MachinePlan, scratch: Path) -> Request:
    """Return ``request`` with what ``plan`` asks for; a bind of the user's there wins."""
    sandbox = request.sandbox
    taken = {os.path.normpath(bind.destination) for bind in sandbox.binds}
    binds = [
        Bind(source=_written(scratch, path, content), destination=path, covers_symlink=True)
        for path, content in _files(plan)
        if path not in taken
    ]
    return replace(request, sandbox=replace(sandbox, binds=(*sandbox.binds, *binds)))


def _files(plan: MachinePlan) -> Iterator[tuple[str, str]]:
    if plan.has_hosts:
        yield hosts.PATH, hosts.CONTENT
    if plan.has_outgoing:
        yield outgoing.RESOLVERS_PATH, outgoing.RESOLVERS


def _written(scratch: Path, path: str, content: str) -> Path:
    file = scratch / os.path.basename(path)
    file.write_text(content, encoding="utf-8")
    file.chmod(0o644)
    return file
