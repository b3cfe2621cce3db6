"""AppArmor that denies user namespaces, or the capabilities in them."""

from collections.abc import Iterator

import pytest

from vmtests.guest_runs import guest, run
from vmtests.images import APPARMOR, kernel, rootfs
from vmtests.luggage import PLACE
from vmtests.machine import Machine
from vmtests.place import skipping

pytestmark = pytest.mark.vm

_ALLOWED = "file, network, mount, umount, pivot_root, signal, ptrace, unix, mqueue,"
# The second is what Ubuntu 24.04 does to programs without a profile of their own.
_PROFILES = {
    "no-userns": f"{_ALLOWED} capability,",
    "no-capability": f"{_ALLOWED} userns, capability, deny capability sys_admin,",
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with AppArmor and both profiles."""
    with skipping():
        made, tree = kernel("6.12"), rootfs(APPARMOR)
    with guest(made, tree, tmp_path_factory.mktemp("apparmor")) as booted:
        booted.succeed("mount -t securityfs securityfs /sys/kernel/security || :")
        for name, rules in _PROFILES.items():
            text = f"abi <abi/4.0>,\nprofile {name} flags=(attach_disconnected) {{ {rules} }}\n"
            booted.put_text(f"/tmp/{name}", text)
            booted.succeed(f"apparmor_parser --replace /tmp/{name}")
        yield booted


@pytest.mark.parametrize("profile", _PROFILES)
@pytest.mark.parametrize("user", ["tester", "lone"])
def test_what_apparmor_denies_is_told_with_its_name(
    user: str, profile: str, machine: Machine
) -> None:
    answer = run(machine, user, prefix=f"aa-exec -p {profile} --")
    assert (answer.status, answer.stdout) == (125, ""), answer.stderr
    assert answer.stderr.count("rootrun: error: ") == 1, answer.stderr
    assert "security module" in answer.stderr, answer.stderr
    assert machine.execute(f"ls {PLACE}/out.tar /scratch/{user}/out.tar").stdout == ""
