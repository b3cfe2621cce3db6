"""Registrations that the image contradicts, and databases in it that cannot be merged."""

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.compose.nix_database.database import COLUMNS
from tests.e2e.test_bad_input import refused
from tests.support.tarball import Member, fifo, file, symlink
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns
_ONE = f"/nix/store/{'1' * 32}-one"
_OTHER = f"/nix/store/{'2' * 32}-other"
_DATABASE = "nix/var/nix/db/db.sqlite"


def nar(content: bytes) -> bytes:
    """Return the NAR of a file, as the manual of Nix has it."""
    words = (b"nix-archive-1", b"(", b"type", b"regular", b"contents", content, b")")
    return b"".join(
        len(word).to_bytes(8, "little") + word + bytes(-len(word) % 8) for word in words
    )


def registered(path: str = _ONE, *references: str, content: bytes = b"one") -> str:
    """Return the registration of a file."""
    archive = nar(content)
    sha256 = hashlib.sha256(archive).hexdigest()
    return (
        "\n".join([path, sha256, f"{len(archive)}", "", f"{len(references)}", *references]) + "\n"
    )


def refusal(place: Workplace, registration: str, *members: Member) -> str:
    """Return the error of a run on an image with ``members`` and the path ``_ONE``."""
    place.base("base.tar", busybox_layer(file(_ONE.strip("/"), b"one"), *members))
    place.write("registration", registration)
    return refused(place, "--from", "base.tar", "--nix-db", "registration")


def test_what_is_right_is_registered(workplace: Workplace) -> None:
    workplace.write("one", "one")
    workplace.write("registration", registered())
    done = workplace.run("--copy", f"one:{_ONE}", "--nix-db", "registration")
    assert done.returncode == 0, done.stderr.decode()
    assert (workplace.path / "scratch-one.tar").exists()


def test_a_hash_that_lies_is_told_with_both(workplace: Workplace) -> None:
    said = hashlib.sha256(nar(b"two")).hexdigest()
    found = hashlib.sha256(nar(b"one")).hexdigest()
    line = refusal(workplace, registered(content=b"two"))
    expected = f"--nix-db: {_ONE}: is sha256:{found} in the image, registered is sha256:{said}"
    assert line == f"rootrun: error: {expected}"


def test_a_size_that_lies_is_told_with_both(workplace: Workplace) -> None:
    line = refusal(workplace, registered().replace("\n120\n", "\n121\n"))
    assert line.endswith(f"{_ONE}: has 120 bytes as a NAR, registered are 121")


def test_a_path_that_is_not_there_is_told(workplace: Workplace) -> None:
    line = refusal(workplace, registered(_OTHER))
    assert line.endswith(f"--nix-db: {_OTHER}: not in the image")


def test_a_reference_to_what_is_not_registered_is_told(workplace: Workplace) -> None:
    line = refusal(workplace, registered(_ONE, _OTHER))
    assert line.endswith(f"--nix-db: {_ONE}: refers to {_OTHER}, which is not registered")


@pytest.mark.parametrize(
    ("registration", "why"),
    [
        ("", "registers no path"),
        ("/etc/passwd\n", "line 1: a store path: '/etc/passwd' is no store path, which is below"),
        (f"{_ONE}/bin\n", f"line 1: a store path: '{_ONE}/bin' is no store path"),
        (f"{_ONE}\nmd5:x\n", "line 2: the hash: 'md5:x' is no SHA-256"),
        (registered()[:-2], "line 5: the number of references is missing"),
        (registered().replace("\n120\n", "\n-1\n"), "line 3: the size: '-1' is no number"),
        (registered() + registered(content=b"two"), f"{_ONE}: registered twice, with different"),
    ],
    ids=["empty", "outside", "below a path", "hash", "cut off", "size", "twice"],
)
def test_a_malformed_registration_is_refused_before_an_image_is_unpacked(
    registration: str, why: str, workplace: Workplace
) -> None:
    line = refusal(workplace, registration)
    assert f"--nix-db: 'registration': {why}" in line
    assert not (workplace.path / ".cache/rootrun/layers").exists()


def test_what_no_archive_can_hold_is_told(workplace: Workplace) -> None:
    line = refusal(workplace, registered(_OTHER), fifo(_OTHER.strip("/")))
    assert line.endswith(f"{_OTHER}: '{'2' * 32}-other' is no file, directory or symlink")


def test_a_store_that_is_a_link_leads_out_of_no_image(workplace: Workplace) -> None:
    outside = workplace.path / "outside"
    outside.mkdir(mode=0o755)
    workplace.write(f"outside/{'2' * 32}-other", "one")
    workplace.base("base.tar", busybox_layer(symlink("nix/store", f"{outside}")))
    workplace.write("registration", registered(_OTHER))
    line = refused(workplace, "--from", "base.tar", "--nix-db", "registration")
    assert line.endswith(f"{_OTHER}: not in the image")


def _database(place: Workplace, *statements: str) -> bytes:
    path = place.path / "made.sqlite"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    content = path.read_bytes()
    path.unlink()
    return content


_TABLES = (
    f"create table ValidPaths (id, {COLUMNS})",
    "create table Refs (referrer, reference)",
    "create table DerivationOutputs (drv, id, path)",
)
_BASE: dict[str, tuple[Callable[[Workplace], bytes], str, str]] = {
    "no database": (lambda _: b"nonsense", "10", "damaged: file is not a database"),
    "another schema": (lambda place: _database(place, *_TABLES), "9", "schema '9', known is 10"),
    "a table is missing": (
        lambda place: _database(place, *_TABLES[:2]),
        "10",
        "damaged: no table DerivationOutputs",
    ),
    "a view for a table": (
        lambda place: _database(
            place, *_TABLES[1:], "create view ValidPaths as select 1 as id, hex(1) as path"
        ),
        "10",
        "damaged: no table ValidPaths",
    ),
    "a table of others": (
        lambda place: _database(place, *_TABLES, "create table Realisations (id)"),
        "10",
        "has a table 'Realisations', which could not be kept",
    ),
    "values of another type": (
        lambda place: _database(place, *_TABLES, "insert into ValidPaths (id, path) values (1, 5)"),
        "10",
        "damaged: a value of another type in ValidPaths",
    ),
    "a reference to nothing": (
        lambda place: _database(place, *_TABLES, "insert into Refs values (1, 2)"),
        "10",
        "damaged: something is told of a path that is not there",
    ),
}


@pytest.mark.parametrize("case", _BASE)
def test_a_database_that_cannot_be_merged_is_refused(case: str, workplace: Workplace) -> None:
    make, schema, why = _BASE[case]
    members = (
        file(_DATABASE, make(workplace)),
        file("nix/var/nix/db/schema", schema.encode()),
    )
    line = refusal(workplace, registered(), *members)
    assert line.startswith("rootrun: error: --nix-db: the image's ")
    assert line.endswith(why)


def test_another_hash_in_the_database_of_the_base_is_told(workplace: Workplace) -> None:
    row = f"insert into ValidPaths values (1, '{_ONE}', 'sha256:0', 1, null, 1, null, null, null)"
    members = (
        file(_DATABASE, _database(workplace, *_TABLES, row)),
        file("nix/var/nix/db/schema", b"10"),
    )
    line = refusal(workplace, registered(), *members)
    assert f"{_ONE}: is sha256:" in line
    assert line.endswith("as registered, but sha256:0 in the image's database")


def test_a_database_that_is_a_link_is_not_read(workplace: Workplace) -> None:
    target: Path = workplace.write("secret.sqlite", _database(workplace, *_TABLES))
    members = (symlink(_DATABASE, f"{target}"), file("nix/var/nix/db/schema", b"10"))
    line = refusal(workplace, registered(), *members)
    assert line.endswith(f"--nix-db: /{_DATABASE}: Too many levels of symbolic links")


def test_a_database_that_is_a_directory_is_not_replaced(workplace: Workplace) -> None:
    members = (file(f"{_DATABASE}/file"), file("nix/var/nix/db/schema", b"10"))
    line = refusal(workplace, registered(), *members)
    assert line.endswith(f"--nix-db: in the image: /{_DATABASE}: is no file")


def test_a_database_without_a_schema_is_told(workplace: Workplace) -> None:
    line = refusal(workplace, registered(), file(_DATABASE, _database(workplace, *_TABLES)))
    assert line.endswith("--nix-db: /nix/var/nix/db/schema: No such file or directory")
