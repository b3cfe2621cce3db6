"""Static programs that change owners and ids: what they see, and make, is what root really does."""

import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.compiled import KINDS, compiled
from tests.support.workplace import Workplace, content_of, top_layer

pytestmark = [pytest.mark.userns, pytest.mark.peers, pytest.mark.root]

_TYPES = {
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.REGTYPE: stat.S_IFREG,
}


@pytest.mark.parametrize("kind", KINDS)
def test_static_programs_do_what_the_real_root_does(
    kind: str, any_workplace: Workplace, public_path: Path, tmp_path: Path
) -> None:
    program = compiled(kind, public_path)
    real = subprocess.run(
        [program, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        extra_groups=[],
        umask=0o022,
        check=False,
    )
    assert real.returncode == 0, real.stdout
    options = ("--bind", f"{public_path}:/programs:ro", "--owner", "keep", "--emulate", "full")
    script = f"mkdir /work\n/programs/{kind} /work > /said 2>&1 || {{ cat /said; exit 1; }}\n"
    output = any_workplace.build(script, *options)
    assert content_of(output, "said").decode() == real.stdout.decode()
    layer = top_layer(output)
    for path in tmp_path.iterdir():
        status, member = path.lstat(), layer[f"work/{path.name}"]
        assert (member.uid, member.gid) == (status.st_uid, status.st_gid)
        assert _TYPES[member.type] | member.mode == status.st_mode
        assert (member.devmajor, member.devminor) == divmod(status.st_rdev, 256)
