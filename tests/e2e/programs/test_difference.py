"""What is told of layers that should have been the same."""

from tests.e2e.programs.difference import difference, differing
from tests.support.tarball import directory, file, symlink, tarball


def test_equal_layers_have_no_difference() -> None:
    layer = tarball(directory("d"), file("d/f", b"x"))
    assert difference(layer, layer) == ""


def test_each_entry_that_differs_is_shown_from_both_sides() -> None:
    expected = tarball(
        file("a", b"x"), file("f", b"one\ntwo\n", mode=0o4755, uid=5), file("s", b"")
    )
    found = tarball(file("a", b"x"), file("f", b"one\n2\n", mode=0o755), symlink("l", "a"))
    told = difference(expected, found).splitlines()
    assert [line for line in told if not line.startswith(" ")] == ["f:", "l:", "s:"]
    assert differing(expected, found) == ["f", "l", "s"]
    assert told[1].startswith("  expected file 4755 5:0 8 bytes ")
    assert told[2].startswith("  found    file 755 0:0 6 bytes ")
    assert {"    -two", "    +2"} < set(told)
    assert "  found    nothing" in told


def test_layers_that_only_their_order_tells_apart_differ() -> None:
    assert difference(tarball(file("a"), file("b")), tarball(file("b"), file("a")))
