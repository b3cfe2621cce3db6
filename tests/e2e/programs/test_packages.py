"""Packages with users, services and databases, installed by a caller of one uid."""

from pathlib import Path

import pytest

from tests.e2e.programs.difference import differing
from tests.e2e.programs.pair import Pair
from tests.support.packages import SERVICES, offline_options

pytestmark = [pytest.mark.userns, pytest.mark.peers, pytest.mark.slow]

# shadow-utils give the new file the owner that stat(2) tells of the old one; the script, too, lists
# owners that it sees.
LOST_BY_RECORD = ["etc/gshadow", "etc/gshadow-", "etc/shadow", "etc/shadow-", "said"]


def test_services_are_installed_as_with_real_ids(pair: Pair, repository: Path) -> None:
    packages = f"PACKAGES={' '.join(SERVICES)}"
    options = (*offline_options(repository), "--env", packages)
    pair.assert_same_layer("install", *options, base="debian")


def test_record_loses_the_owners_that_tools_copy_from_what_they_see(
    pair: Pair, repository: Path
) -> None:
    options = (*offline_options(repository), "--env", "PACKAGES=cron dbus")
    record = ("--emulate", "record")
    many, lone = pair.layers("install", *options, base="debian", lone=record)
    assert differing(many, lone) == LOST_BY_RECORD
