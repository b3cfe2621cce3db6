"""R72: whatever a script does to whatever base, the image is the tree that it left.

Random layers and random operations; three readers must agree: the script itself
(a tar that it makes of its tree at the end), `rootrun export` of the result, and
an independent one that applies the layers.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.arbitrary import OPERATIONS, TOP, ArbitraryLayer, arbitrary_layer
from tests.support.merged import Node, Tree, merged, nodes_of
from tests.support.workplace import Workplace, busybox_layer, layers_of

pytestmark = [pytest.mark.userns, pytest.mark.slow]


def _check_minimal(layer: bytes, *, base: Tree, result: Tree) -> None:
    """Hold that each entry of the new layer says something that the base does not."""
    entries = nodes_of(layer)
    for path, node in entries.items():
        above, _, name = path.rpartition("/")
        if name.startswith(".wh."):
            hidden = f"{above}/{name.removeprefix('.wh.')}".strip("/")
            assert hidden in base, f"{path} deletes nothing"
            assert hidden not in result, f"{path} deletes what is there"
        elif node.is_directory and _same(base.get(path), node):
            assert any(other.startswith(f"{path}/") for other in entries), f"{path} is no change"
        else:
            assert not _same(base.get(path), node), f"{path} is no change"


def _same(one: Node | None, two: Node) -> bool:
    return one is not None and one.without_owner() == two.without_owner()


def _without_owners(tree: Tree) -> Tree:
    is_below = (TOP, f"{TOP}/")
    return {
        path: node.without_owner()
        for path, node in tree.items()
        if path == is_below[0] or path.startswith(is_below[1])
    }


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    layers=st.lists(arbitrary_layer(), min_size=1, max_size=3),
    operations=st.lists(OPERATIONS, max_size=12),
)
def test_r72_the_image_is_the_tree_that_the_script_left(
    layers: list[ArbitraryLayer], operations: list[str], any_workplace: Workplace
) -> None:
    place = any_workplace
    out = place.path / "out"
    out.mkdir(exist_ok=True)
    place.own(out)
    base = place.base("base.tar", busybox_layer(), *(layer.content for layer in layers))
    lines = [f"{{ {operation}; }} 2>/dev/null || true" for operation in operations]
    script = "\n".join([*lines, f"tar cf /out/left.tar -C / {TOP}", ""])
    image = place.build(script, "--bind", f"{out}:/out", "--timeout", "60", base=base)
    below, result = merged(layers_of(base)), merged(layers_of(image))
    assert _without_owners(result) == _without_owners(nodes_of((out / "left.tar").read_bytes()))
    _check_minimal(layers_of(image)[-1], base=below, result=result)
    exported = place.run("export", image, "-o", "-")
    assert exported.returncode == 0, exported.stderr.decode()
    assert nodes_of(exported.stdout) == result
