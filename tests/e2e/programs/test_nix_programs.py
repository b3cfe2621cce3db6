"""Real programs in a real Nix build, which has one uid and forbids much: the same layers again."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.programs.difference import difference
from tests.e2e.programs.images import own_tree
from tests.e2e.programs.pair import LAYOUT, SCRIPTS, Pair, layer_of
from tests.e2e.programs.test_programs import PLAIN, WITH_DEVICES
from tests.support.nix import on_host, try_nix
from tests.support.workplace import Workplace

# No filter lets an ACL be set there: setxattr(2) says so, and the script with it.
NAMES = [name for name in (*PLAIN, *WITH_DEVICES) if name != "acl"]

pytestmark = [pytest.mark.userns, pytest.mark.peers, pytest.mark.slow]

# The base is a directory with the images and the scripts; the layers are the output.
BUILD = """\
cp -r $base/images . && chmod -R u+w images && mkdir $out
for script in $base/*.sh; do
  name=$(basename $script .sh); cp $script .
  rootrun --from oci:images:tools --script $name.sh -o oci:images:$name --owner keep --json \\
    > said 2> $out/$name.log || continue
  layer=$(python3 -c 'import json; print(json.load(open("said"))["layers"][-1]["digest"][7:])')
  cp images/blobs/sha256/$layer $out/$name
done
"""


@pytest.fixture(scope="module")
def nix_layers(pair: Pair) -> Path:
    """A directory of the layers that the scripts give in one build, by their names."""
    place = Workplace(path=pair.lone.path / "nix", account=pair.lone.account)
    given = place.path / "given"
    shutil.copytree(pair.lone.path / LAYOUT, given / LAYOUT)
    for name in NAMES:
        shutil.copy(SCRIPTS / f"{name}.sh", given)
    own_tree(place.path, pair.lone.account or pytest.fail("no account"))
    done = try_nix(place, "", base=given, command=BUILD)
    assert done.returncode == 0, done.stderr.decode()
    return on_host(place, done.stdout.decode().strip())


@pytest.mark.parametrize("name", NAMES)
def test_programs_give_the_layer_of_real_ids(name: str, pair: Pair, nix_layers: Path) -> None:
    helped = ("--emulate", "full") if name in WITH_DEVICES else ()
    expected = layer_of(pair.many, SCRIPTS / f"{name}.sh", *helped, base="tools")
    found = nix_layers / name
    assert found.exists(), (nix_layers / f"{name}.log").read_text()
    differing = difference(expected, found.read_bytes())
    assert not differing, f"{name}:\n{differing}"
