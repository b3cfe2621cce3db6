"""Architectures as Go names them."""

import pytest

from rootrun.errors import UsageError
from rootrun.image.platform import Platform, can_run, machine_platform, parse_platform


@pytest.mark.parametrize(
    ("machine", "platform"),
    [
        ("x86_64", Platform("amd64")),
        ("aarch64", Platform("arm64")),
        ("armv7l", Platform("arm", "v7")),
        ("i686", Platform("386")),
        ("ppc64le", Platform("ppc64le")),
        ("s390x", Platform("s390x")),
        ("riscv64", Platform("riscv64")),
        ("vax", Platform("vax")),
    ],
)
def test_machine_has_a_goarch_name(machine: str, platform: Platform) -> None:
    """R61."""
    assert machine_platform(machine) == platform


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("amd64", Platform("amd64")),
        ("x86_64", Platform("amd64")),
        ("linux/arm/v7", Platform("arm", "v7")),
        ("arm/v6", Platform("arm", "v6")),
        ("arm64", Platform("arm64")),
    ],
)
def test_platform_is_parsed(text: str, platform: Platform) -> None:
    assert parse_platform(text) == platform


@pytest.mark.parametrize("text", ["", "vax", "windows/amd64", "arm/v7/x/y"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a GOARCH name"):
        parse_platform(text)


@pytest.mark.parametrize(
    ("machine", "architecture", "runs"),
    [
        ("x86_64", "amd64", True),
        ("x86_64", "386", True),
        ("x86_64", "arm64", False),
        ("i686", "amd64", False),
        ("aarch64", "arm", False),
    ],
)
def test_machine_runs_its_own_kind(machine: str, architecture: str, runs: bool) -> None:
    assert can_run(architecture, machine=machine) is runs


def test_what_is_known_to_be_emulated_runs() -> None:
    assert can_run("arm", machine="aarch64", emulated=("arm",))
