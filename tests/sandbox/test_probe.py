"""rootrun doctor: what is found is what works, and the finding changes nothing."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from rootrun.cli.doctor import can_work
from rootrun.sandbox.probe import Finding, Need
from tests.sandbox.conftest import Caller
from tests.support.program import installation, run_as, run_rootrun
from tests.support.require import require_program
from tests.support.users import Account


@pytest.mark.parametrize("works", [True, False])
def test_all_that_must_be_is_enough(works: bool) -> None:
    findings = [
        Finding("a", True, "", need=Need.MUST),
        Finding("b", works, "", need=Need.MUST),
        Finding("c", False, "", need=Need.BETTER),
    ]
    assert can_work(findings) is works


@pytest.mark.userns
def test_report_names_the_map_that_is_used(caller: Caller) -> None:
    done = run_rootrun(["doctor"], account=caller.account)
    assert done.returncode == 0, done.stderr
    assert f"Will be used: id map {caller.id_map} (" in done.stdout.decode()
    assert done.stderr == b""


@pytest.mark.userns
def test_report_leaves_nothing(caller: Caller, public_path: Path) -> None:
    if caller.account is not None:
        caller.account.own(public_path)
    run_rootrun(
        ["doctor", "--cache-dir", public_path / "cache"],
        account=caller.account,
        env={"TMPDIR": os.fspath(public_path)},
    )
    assert os.listdir(public_path) == []


@pytest.mark.userns
def test_hint_for_a_single_id_gives_ranges_that_are_free(lone: Account) -> None:
    before = _taken()
    document = _report(run_rootrun(["doctor", "--json"], account=lone))
    hint = str(_finding(document, "id map subids")["hint"])
    assert document["idMap"] == "single"
    assert hint.startswith("as root: usermod --add-subuids ")
    start = int(hint.split()[4].partition("-")[0])
    # Other sessions add and remove accounts meanwhile.
    assert all(start >= stop for stop in before & _taken())


def _taken() -> set[int]:
    lines = Path("/etc/subuid").read_text().splitlines()
    return {int(start) + int(count) for _, start, count in (line.split(":") for line in lines)}


@pytest.mark.userns
def test_machine_without_user_namespaces_is_told_so(lone: Account) -> None:
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    under = [str(require_program("unshare")), "-Ur", "sh", "-c", forbid, "sh"]
    done = _run_under(under, lone)
    document = _report(done)
    assert done.returncode == 125
    assert document["works"] is False
    finding = _finding(document, "user namespaces")
    assert finding["detail"] == "create user namespace: No space left on device"
    assert "user.max_user_namespaces is 0" in str(finding["hint"])


def _run_under(under: Sequence[str], account: Account) -> subprocess.CompletedProcess[bytes]:
    program: Path = installation() / "bin" / "rootrun"
    return run_as([*under, str(program), "doctor", "--json"], account=account)


def _report(done: subprocess.CompletedProcess[bytes]) -> dict[str, object]:
    document: dict[str, object] = json.loads(done.stdout)
    return document


def _finding(document: dict[str, object], name: str) -> dict[str, object]:
    findings = document["findings"]
    assert isinstance(findings, list)
    found: dict[str, object] = next(f for f in findings if f["name"] == name)
    return found
