"""Id maps as values."""

import pytest

from rootrun.sandbox.idmap import Extent, IdMap, IdMapKind, identity, map_lines, parse_map


def _extents(*numbers: tuple[int, int, int]) -> tuple[Extent, ...]:
    return tuple(Extent(container_id=a, host_id=b, count=n) for a, b, n in numbers)


def _id_map(kind: IdMapKind, *numbers: tuple[int, int, int]) -> IdMap:
    return IdMap(kind=kind, uids=_extents(*numbers), gids=_extents(*numbers), reason="")


def test_map_file_is_read_and_written() -> None:
    extents = _extents((0, 1000, 1), (1, 100000, 65536))
    assert map_lines(extents) == b"0 1000 1\n1 100000 65536\n"
    assert parse_map(b"         0       1000          1\n 1 100000  65536\n") == extents


def test_identity_has_the_inner_ids_on_both_sides() -> None:
    assert identity(_extents((0, 1000, 1), (1, 5, 9))) == _extents((0, 0, 1), (1, 1, 9))


@pytest.mark.parametrize(("uid", "is_there"), [(0, True), (9, True), (10, False), (-1, False)])
def test_only_mapped_ids_are_there(uid: int, is_there: bool) -> None:
    id_map = _id_map(IdMapKind.SUBIDS, (0, 1000, 1), (1, 100000, 9))
    assert id_map.has_uid(uid) is is_there
    assert id_map.has_gid(uid) is is_there


def test_key_tells_ranges_apart_and_callers_not() -> None:
    one = _id_map(IdMapKind.SUBIDS, (0, 1000, 1), (1, 100000, 9))
    same = _id_map(IdMapKind.SUBIDS, (0, 1001, 1), (1, 100000, 9))
    other = _id_map(IdMapKind.SUBIDS, (0, 1000, 1), (1, 200000, 9))
    assert one.key == same.key == "subids-100000+9"
    assert other.key != one.key
    assert _id_map(IdMapKind.SINGLE, (0, 1000, 1)).key == "single"


def test_groups_can_be_set_unless_there_is_one_id() -> None:
    assert _id_map(IdMapKind.ROOT, (0, 0, 9)).can_set_groups
    assert not _id_map(IdMapKind.SINGLE, (0, 7, 1)).can_set_groups
