"""Entering namespaces: which map comes into force, and what is said where none does."""

import json
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sandbox.conftest import Caller
from tests.support.program import _interpreter, installation, run_as
from tests.support.require import require_program
from tests.support.users import Account, _run

pytestmark = pytest.mark.userns

_DRIVER = Path(__file__).parent / "drivers" / "userns.py"


def _enter(
    requested: str = "auto",
    *,
    account: Account | None = None,
    env: dict[str, str] | None = None,
    under: Sequence[str] = (),
) -> dict[str, object]:
    stdout = _python(
        _DRIVER.read_text(), account=account, env=env, under=under, stdin=requested.encode()
    )
    answer: dict[str, object] = json.loads(stdout)
    return answer


def _python(
    source: str,
    *,
    account: Account | None = None,
    env: dict[str, str] | None = None,
    under: Sequence[str] = (),
    stdin: bytes = b"",
) -> str:
    libraries = os.fspath(installation() / "lib")
    source = f"import sys; sys.path.insert(0, {libraries!r})\n{source}"
    argv = [*under, os.fspath(_interpreter()), "-I", "-c", source]
    done = run_as(argv, account=account, env=env, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_auto_takes_the_best_map(caller: Caller) -> None:
    answer = _enter(account=caller.account)
    assert answer["kind"] == caller.id_map
    assert (answer["uid"], answer["gid"]) == (0, 0)


@pytest.mark.root
def test_root_is_mapped_onto_itself() -> None:
    with open("/proc/self/uid_map") as file:
        here = [[inner, inner, count] for inner, _, count in (line.split() for line in file)]
    assert _enter()["uids"] == here


def test_subordinate_ids_follow_the_caller(tester: Account) -> None:
    answer = _enter("subids", account=tester)
    assert answer["uids"] == [
        ["0", str(tester.uid), "1"],
        ["1", str(tester.subids.start), str(len(tester.subids))],
    ]
    assert answer["gids"] == [
        ["0", str(tester.gid), "1"],
        ["1", str(tester.subids.start), str(len(tester.subids))],
    ]


def test_single_is_the_caller_alone(lone: Account) -> None:
    answer = _enter("single", account=lone)
    assert answer["uids"] == [["0", str(lone.uid), "1"]]
    assert answer["gids"] == [["0", str(lone.gid), "1"]]


def test_reason_of_single_names_the_missing_range(lone: Account) -> None:
    assert _enter(account=lone)["reason"] == f"single: no range for {lone.name!r} in /etc/subuid"


def test_several_short_ranges_are_put_one_after_another(lone: Account) -> None:
    first, second = 150_000_000 + 100 * os.getpid() % 10_000_000, 170_000_000
    for start in (first, second):
        span = f"{start}-{start + 9}"
        _run("usermod", "--add-subuids", span, "--add-subgids", span, lone.name)
    try:
        uids = _enter("subids", account=lone)["uids"]
    finally:
        for start in (first, second):
            span = f"{start}-{start + 9}"
            _run("usermod", "--del-subuids", span, "--del-subgids", span, lone.name)
    assert isinstance(uids, list)
    assert sorted(uids) == sorted(
        [["0", str(lone.uid), "1"], ["1", str(first), "10"], ["11", str(second), "10"]]
    )


@pytest.mark.parametrize("requested", ["root", "subids"])
def test_map_asked_for_that_cannot_be_is_an_error(requested: str, lone: Account) -> None:
    answer = _enter(requested, account=lone)
    assert answer["error"] == "NamespaceError"
    assert str(answer["message"]).startswith(f"id map: {requested}: ")
    assert answer["hint"]


@pytest.mark.root
def test_uid_without_an_account_works(public_path: Path) -> None:
    setpriv = require_program("setpriv")
    answer = _enter(under=[str(setpriv), "--reuid=4711", "--regid=4711", "--clear-groups"])
    assert answer["reason"] == "single: no range for '4711' in /etc/subuid"
    assert answer["uids"] == [["0", "4711", "1"]]


def test_no_new_privs_leaves_a_single_id(tester: Account) -> None:
    answer = _enter(account=tester, under=[str(require_program("setpriv")), "--no-new-privs"])
    assert answer["kind"] == "single"
    assert "no_new_privs is set" in str(answer["reason"])


def test_missing_newuidmap_leaves_a_single_id(tester: Account) -> None:
    answer = _enter(account=tester, env={"PATH": "/nowhere"})
    assert answer["reason"] == "single: no newuidmap on PATH"


def test_newuidmap_without_rights_leaves_a_single_id(tester: Account, public_path: Path) -> None:
    for name in ("newuidmap", "newgidmap"):
        shutil.copy(require_program(name), public_path / name)
        (public_path / name).chmod(0o755)
        assert not (public_path / name).stat().st_mode & stat.S_ISUID
    answer = _enter(account=tester, env={"PATH": f"{public_path}:/usr/bin"})
    assert answer["kind"] == "single"
    assert str(answer["reason"]).startswith("single: subids refused: run new")


def test_newuidmap_without_rights_is_an_error_if_asked_for(
    tester: Account, public_path: Path
) -> None:
    for name in ("newuidmap", "newgidmap"):
        (public_path / name).write_text("#!/bin/sh\necho no way >&2\nexit 1\n")
        (public_path / name).chmod(0o755)
    answer = _enter("subids", account=tester, env={"PATH": os.fspath(public_path)})
    assert answer["error"] == "NamespaceError"
    assert "no way" in str(answer["message"])
    assert "single" in str(answer["hint"])


def test_map_written_by_half_is_an_error(tester: Account, public_path: Path) -> None:
    waiting = "#!/bin/sh\nuntil grep -q . /proc/$1/uid_map; do :; done; exit 1\n"
    (public_path / "newgidmap").write_text(waiting)
    (public_path / "newgidmap").chmod(0o755)
    (public_path / "newuidmap").symlink_to(require_program("newuidmap"))
    answer = _enter(account=tester, env={"PATH": f"{public_path}:/usr/bin"})
    assert answer["error"] == "NamespaceError"
    assert "single" in str(answer["hint"])


@pytest.mark.root
def test_root_that_cannot_set_ids_falls_back_to_a_single_id() -> None:
    drop = ["--bounding-set=-setuid,-setgid", "--inh-caps=-all"]
    answer = _enter(under=[str(require_program("setpriv")), *drop])
    assert answer["kind"] == "single"
    assert str(answer["reason"]).startswith("single: root refused: write id maps")


@pytest.mark.root
def test_root_without_capabilities_is_told_to_be_another() -> None:
    drop = ["--bounding-set=-all", "--inh-caps=-all"]
    answer = _enter(under=[str(require_program("setpriv")), *drop])
    assert answer["message"] == "write id map: Operation not permitted"
    assert "another user" in str(answer["hint"])


def test_root_of_a_single_id_namespace_stays_one(lone: Account) -> None:
    answer = _enter(account=lone, under=[str(require_program("unshare")), "-Ur"])
    assert answer["kind"] == "single"
    assert answer["uids"] == [["0", "0", "1"]]


@pytest.mark.parametrize("name", ["max_user_namespaces", "max_mnt_namespaces"])
def test_limit_of_namespaces_is_named(name: str, lone: Account) -> None:
    # The limits belong to a user namespace: this one is that of the test alone.
    setting = f"/proc/sys/user/{name}"
    under = [str(require_program("unshare")), "-Ur", "sh", "-c", f'echo 0 > {setting}; exec "$@"']
    answer = _enter(account=lone, under=[*under, "sh"])
    assert answer["message"] == "create user namespace: No space left on device"
    assert answer["hint"] == f"user.{name} is 0: as root, sysctl user.{name}=10000"


@pytest.mark.root
def test_chroot_is_named(public_path: Path) -> None:
    # Its root is no mount of its own; the mounts below make Python run in it.
    for name in ("usr", "proc", "etc"):
        (public_path / name).mkdir()
    for name in ("bin", "lib", "lib64"):
        (public_path / name).symlink_to(f"usr/{name}")
    libraries = os.fspath(installation())
    (public_path / libraries[1:]).mkdir(parents=True)
    binds = "".join(f"mount --rbind {p} {public_path}{p};" for p in ("/usr", "/proc", libraries))
    script = f'{binds} exec chroot --userspec=4711:4711 {public_path} "$@"'
    answer = _enter(under=[str(require_program("unshare")), "-m", "sh", "-c", script, "sh"])
    assert answer["message"] == "create user namespace: Operation not permitted"
    assert "chroot" in str(answer["hint"])


@pytest.mark.root
def test_groups_of_the_caller_stay(public_path: Path) -> None:
    (public_path / "secret").write_text("readable by the group")
    os.chown(public_path / "secret", 0, 4242)
    (public_path / "secret").chmod(0o040)
    source = (
        "from rootrun.sandbox.idmap_choice import choose_id_map\n"
        "from rootrun.sandbox.userns import enter_namespaces\n"
        "import sys; enter_namespaces(choose_id_map('auto'))\n"
        f"sys.stdout.write(open({os.fspath(public_path / 'secret')!r}).read())"
    )
    under = ["setpriv", "--reuid=4711", "--regid=4711", "--groups=4242"]
    assert _python(source, under=under) == "readable by the group"


def test_mounts_are_not_seen_outside(tmp_path: Path) -> None:
    source = (
        "from pathlib import Path\n"
        "from rootrun.sandbox.idmap_choice import choose_id_map\n"
        "from rootrun.sandbox.overlay import mount_tmpfs\n"
        "from rootrun.sandbox.userns import enter_namespaces\n"
        "enter_namespaces(choose_id_map('auto'))\n"
        f"place = Path({os.fspath(tmp_path)!r}); mount_tmpfs(place)\n"
        "(place / 'inside').touch(); assert place.is_mount()"
    )
    _python(source)
    assert os.listdir(tmp_path) == []
