"""A database and its replica, which a partition cuts off for a while."""

from pathlib import Path

import pytest

from rootrun.testing import Machine
from rootrun.testing.plugin import ImageFactory, MachineFactory, NetworkFactory

PROGRAMS = "/usr/lib/postgresql/*/bin"
DATA = "/var/lib/postgresql/data"
COUNT = "select count(*) from letters"
LAG = "select sent_lsn > replay_lsn from pg_stat_replication"


@pytest.fixture(scope="session")
def database(debian: str, rootrun_image: ImageFactory) -> Path:
    """An image with a cluster that ``postgres`` made: initdb refuses to be run by root."""
    return rootrun_image(
        debian,
        f"""
        runuser -u postgres -- {PROGRAMS}/initdb -D {DATA} --auth trust
        echo "listen_addresses = '*'" >> {DATA}/postgresql.conf
        echo 'host all,replication all all trust' >> {DATA}/pg_hba.conf
        """,
        options=["--owner", "keep"],
    )


def start(machine: Machine) -> None:
    machine.start(f"{PROGRAMS}/postgres -D {DATA}", user="postgres")
    machine.wait_until_succeeds(f"{PROGRAMS}/pg_isready --username postgres", timeout=60)


def sql(machine: Machine, statement: str) -> str:
    return machine.succeed(f'psql -U postgres -qAtc "{statement}"').strip()


def wait_for_answer(machine: Machine, question: str, answer: str) -> None:
    command = f'test "$(psql -U postgres -qAtc "{question}")" = {answer}'
    machine.wait_until_succeeds(command, timeout=60)


def test_replica_survives_a_partition(
    database: Path, debian: str, rootrun_machine: MachineFactory, rootrun_network: NetworkFactory
) -> None:
    lan = rootrun_network("lan")
    primary = rootrun_machine(database, name="primary", networks=[lan])
    replica = rootrun_machine(debian, name="replica", networks=[lan])
    start(primary)
    sql(primary, "create table letters (letter text); insert into letters values ('a')")
    backup = f"{PROGRAMS}/pg_basebackup -h primary -U postgres -D {DATA} -R -X stream -c fast"
    replica.succeed(f"runuser -u postgres -- {backup}")
    start(replica)
    wait_for_answer(primary, LAG, "f")
    assert sql(replica, COUNT) == "1"

    lan.partition([primary], [replica])
    sql(primary, "insert into letters values ('b')")
    wait_for_answer(primary, LAG, "t")
    assert sql(replica, COUNT) == "1"

    lan.heal()
    wait_for_answer(replica, COUNT, "2")


def test_nothing_that_was_committed_is_lost_in_a_crash(
    database: Path, rootrun_machine: MachineFactory
) -> None:
    machine = rootrun_machine(database)
    start(machine)
    sql(machine, "create table letters (letter text); insert into letters values ('a')")
    machine.crash()
    machine.start()
    start(machine)
    assert sql(machine, COUNT) == "1"
