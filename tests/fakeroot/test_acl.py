"""An ACL that names users becomes one that the kernel takes, and is found in it again."""

import os
import struct
import subprocess
from pathlib import Path

import pytest

from rootrun.fakeroot.acl import AclEntry, acl_value, lone_acl, parse_acl, shown_acl
from tests.support.require import require_program

USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
NOBODY = 0xFFFFFFFF
ACL = (
    AclEntry(USER_OBJ, 6, NOBODY),
    AclEntry(USER, 7, 5),
    AclEntry(USER, 4, 70000),
    AclEntry(GROUP_OBJ, 4, NOBODY),
    AclEntry(GROUP, 1, 0),
    AclEntry(GROUP, 5, 6),
    AclEntry(MASK, 7, NOBODY),
    AclEntry(OTHER, 0, NOBODY),
)


def changed(acl: tuple[AclEntry, ...], tag: int, permissions: int) -> tuple[AclEntry, ...]:
    return tuple(
        entry._replace(permissions=permissions) if entry.tag == tag else entry for entry in acl
    )


def test_an_acl_is_read_as_setfacl_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o640)
    acl = "u::rw,u:5:rwx,u:70000:r,g::r,g:0:x,g:6:rx,m::rwx,o::-"
    subprocess.run([require_program("setfacl"), "--set", acl, file], check=True)
    value = os.getxattr(file, "system.posix_acl_access")
    assert parse_acl(value) == ACL
    assert acl_value(ACL) == value


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\2\0\0",
        struct.pack("<I", 1),
        struct.pack("<IHHI", 3, 1, 7, 0),
        struct.pack("<IHH", 2, 1, 7),
        acl_value(ACL) + b"\0",
        acl_value(ACL)[:-1],
    ],
    ids=["nothing", "short", "version 1", "version 3", "half", "longer", "shorter"],
)
def test_what_is_no_acl_is_none(value: bytes) -> None:
    assert parse_acl(value) is None


def test_names_alone_become_those_of_root() -> None:
    lone = lone_acl(ACL)
    assert [entry.id for entry in lone] == [NOBODY, 0, 0, NOBODY, 0, 0, NOBODY, NOBODY]
    assert [entry[:2] for entry in lone] == [entry[:2] for entry in ACL]
    assert lone_acl(lone) == lone


def test_an_acl_is_found_again_after_a_chmod() -> None:
    assert shown_acl(lone_acl(ACL), ACL) == ACL
    assert shown_acl(changed(lone_acl(ACL), MASK, 4), ACL) == changed(ACL, MASK, 4)


@pytest.mark.parametrize(
    "on_disk",
    [(), lone_acl(ACL)[:-1], (*lone_acl(ACL), ACL[0]), ACL, lone_acl(ACL)[::-1]],
    ids=["none", "shorter", "longer", "other ids", "another order"],
)
def test_another_acl_is_not_taken_for_it(on_disk: tuple[AclEntry, ...]) -> None:
    assert shown_acl(on_disk, ACL) is None
