"""Packages with users and services, installed by a caller of one uid: owners as with many."""

import tarfile
from pathlib import Path

import pytest

from tests.e2e.test_debian import INSTALL, debian, installed  # noqa: F401
from tests.support.debian import apt_options
from tests.support.images import assert_image_valid
from tests.support.workplace import Workplace, top_layer

pytestmark = [pytest.mark.userns, pytest.mark.peers, pytest.mark.slow]

# apt sees that its own user was not really changed to; root fetches what it would.
LONE_INSTALL = INSTALL.replace("apt-get ", "apt-get -o APT::Sandbox::User=root ")
# shadow-utils give the new file the owner that stat(2) tells of the old one.
LOST_BY_RECORD = {f"etc/{name}" for name in ("shadow", "shadow-", "gshadow", "gshadow-")}


def differing(one: dict[str, tarfile.TarInfo], other: dict[str, tarfile.TarInfo]) -> set[str]:
    """Return the names whose type, mode or owner differ; both have the same names."""
    assert one.keys() == other.keys()
    return {name for name in one if _shown(one[name]) != _shown(other[name])}


def _shown(member: tarfile.TarInfo) -> tuple[object, ...]:
    return (member.type, member.mode, member.uid, member.gid, member.devmajor, member.devminor)


@pytest.mark.parametrize(("level", "lost"), [("record", LOST_BY_RECORD), ("full", set[str]())])
def test_packages_are_installed_with_their_owners(
    level: str,
    lost: set[str],
    debian: Path,  # noqa: F811
    installed: Path,  # noqa: F811
    lone_workplace: Workplace,
) -> None:
    output = lone_workplace.build(
        LONE_INSTALL, *apt_options(), "--owner", "keep", "--emulate", level, base=debian
    )
    assert_image_valid(output)
    assert differing(top_layer(installed), top_layer(output)) == lost
