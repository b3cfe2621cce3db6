"""The kernel itself marks directories, where we may not; inside real namespaces."""

import json

import pytest

from tests.support.program import run_python
from tests.support.users import Account

pytestmark = pytest.mark.userns

PRELUDE = """
import json, os
from pathlib import Path
from rootrun.errors import SandboxError
from rootrun.rootfs.marked import marked_directories
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.overlay import mount_overlay, unmount
from rootrun.sandbox.userns import enter_namespaces

enter_namespaces(choose_id_map("auto"))
place = Path("place").absolute()
place.mkdir()
told = {}
"""
POSTLUDE = """
told["left"] = sorted(os.listdir(place))
told["mounts"] = Path("/proc/self/mountinfo").read_text().count(f" {place}/")
print(json.dumps(told))
"""
ORIGIN, OPAQUE = "user.overlay.origin", "user.overlay.opaque"


def run(body: str, account: Account) -> dict[str, object]:
    """Run ``body`` as ``account`` and return what it told."""
    done = run_python(PRELUDE + body + POSTLUDE, account=account, cwd=account.new_directory())
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


def test_directories_have_the_marks_asked_for(tester: Account, lone: Account) -> None:
    body = """
fd = os.open(place, os.O_RDONLY)
wanted = {"mixed": [True, False, True], "plain": [False], "many": [True] * 300}
for name, are_opaque in wanted.items():
    with marked_directories(fd, are_opaque) as made:
        names = [f"/proc/self/fd/{made}/{number}" for number in range(len(are_opaque))]
        told[name] = [sorted(os.listxattr(path)) for path in names]
        (place / name).mkdir()
        os.rename(names[0], place / name)
"""
    both, origin = sorted([ORIGIN, OPAQUE]), [ORIGIN]
    for account in (tester, lone):
        assert run(body, account) == {
            "mixed": [both, origin, both],
            "plain": [origin],
            "many": [both] * 300,
            "left": ["many", "mixed", "plain"],
            "mounts": 0,
        }


def test_where_there_can_be_no_upper_it_is_an_error_and_nothing_is_left(lone: Account) -> None:
    body = """
for name in ("lower", "upper", "work"):
    Path(name).mkdir()
mount_overlay(place, lowers=[Path("lower")], upper=Path("upper"), work=Path("work"))
fd = os.open(place, os.O_RDONLY)
try:
    with marked_directories(fd, [True]):
        pass
except SandboxError as error:
    told["error"] = str(error)
"""
    told = run(body, lone)
    assert str(told.pop("error")).startswith("mount overlay: ")
    assert told == {"left": [], "mounts": 0}
