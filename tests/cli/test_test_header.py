"""The header of a test script, and what it and the command line come to."""

from pathlib import Path

import pytest

from rootrun.cli.parser import parse
from rootrun.cli.test_options import TEST_COMMAND
from rootrun.cli.test_plan import TestRun, test_run_of
from rootrun.errors import UsageError
from rootrun.testing.driver.plan import NetworkSetup
from rootrun.testing.driver.script import read_script

TestRun.__test__ = False  # type: ignore[attr-defined] # of pytest: it is none
test_run_of.__test__ = False  # type: ignore[attr-defined] # likewise

_HEADER = """
[tool.rootrun]
memory = "1G"
timeout = "5m"
env = { SPEED = "slow", SIDE = "left" }
[tool.rootrun.machines]
client-1 = "client.tar"
server = { from = "oci:web:latest", memory = "64M", env = { SPEED = "fast" }, bind = ["x:/x:ro"] }
"""


def _run(place: Path, toml: str, *args: str) -> TestRun:
    """Return what a script with the header ``toml`` and ``args`` come to."""
    for name in ("client.tar", "web", "other.tar"):
        (place / name).touch()
    header = "".join(f"# {line}\n" for line in toml.splitlines())
    script = place / "test.py"
    script.write_text(f"#!/usr/bin/python3\n# /// script\n{header}# ///\nassert True\n")
    return test_run_of(parse(TEST_COMMAND, [str(script), *args]), read_script(script))


def test_header_declares_machines_as_options_do(tmp_path: Path) -> None:
    plan, timeout_s, _ = _run(tmp_path, _HEADER)
    client, server = plan.machines
    assert (client.name, client.image) == ("client-1", f"{tmp_path}/client.tar")
    assert client.options.memory_bytes == 1 << 30
    assert server.image == f"oci:{tmp_path}/web:latest"
    assert server.options.memory_bytes == 64 << 20
    assert server.options.environment == {"SPEED": "fast", "SIDE": "left"}
    [bind] = server.options.binds
    assert (bind.source, bind.read_only) == (tmp_path / "x", True)
    assert plan.networks == (NetworkSetup("lan"),)
    assert timeout_s == 300


def test_command_line_wins_over_the_header(tmp_path: Path) -> None:
    args = [
        "--from",
        "other.tar",
        "--machine",
        "server=third.tar",
        "--memory",
        "2G",
        "-eSIDE=right",
    ]
    plan, timeout_s, _ = _run(tmp_path, _HEADER, *args, "--timeout", "9", "--idmap", "single")
    client, server = plan.machines
    assert (client.image, server.image) == ("other.tar", "third.tar")
    assert {machine.options.memory_bytes for machine in plan.machines} == {2 << 30}
    assert server.options.environment == {"SPEED": "fast", "SIDE": "right"}
    assert {machine.options.idmap for machine in plan.machines} == {"single"}
    assert timeout_s == 9


def test_networks_are_those_of_the_header(tmp_path: Path) -> None:
    toml = """
[tool.rootrun]
from = "client.tar"
[tool.rootrun.machines]
one = {}
two = { networks = ["back"] }
three = { network = "host" }
[tool.rootrun.networks]
front = "10.1.0.0/24"
back = {}
"""
    plan = _run(tmp_path, toml).plan
    assert plan.networks == (NetworkSetup("front", "10.1.0.0/24"), NetworkSetup("back", None))
    assert [machine.networks for machine in plan.machines] == [None, ("back",), ()]


def test_one_image_alone_is_one_machine_without_a_network(tmp_path: Path) -> None:
    plan = _run(tmp_path, "", "--from", "other.tar").plan
    assert [(machine.name, machine.image) for machine in plan.machines] == [
        ("machine", "other.tar")
    ]
    assert plan.networks == ()


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[tool.rootrun\n", "test.py: header: Expected ']'"),
        ("[tool.rootrun]\na = 1\nb = ?\n", "header: Invalid value (at line 5"),
        ("[tool.rootrun]\nmemry = 1\n", "test.py: header: memry: no such key"),
        ("[tool.rootrun]\nmemory = 'x'\n", "test.py: header: memory: 'x': not a size"),
        ("[tool.rootrun]\nmemory = ['1G']\n", "memory: ['1G']: of another kind"),
        ("[tool.rootrun]\nbind = true\n", "bind: True: of another kind"),
        ("[tool.rootrun.machines]\na = 'no.tar'\n", "machines.a: from: 'no.tar': No such file"),
        ("[tool.rootrun.machines]\na = 3\n", "machines.a: neither a table nor the name"),
        ("[tool.rootrun.machines]\na = {timeout = 3}\n", "machines.a: timeout: no such key"),
        ("[tool.rootrun.machines]\na = {}\n", "machine a: no image"),
        ("[tool.rootrun]\nmachines = 3\n", "header: machines: not a table"),
        ("[tool.rootrun.networks]\na = 3\n", "networks.a: neither a table nor a subnet"),
        ("[tool.rootrun.networks]\na = {x = 1}\n", "networks.a: x: no such key"),
        (
            "[tool.rootrun.machines]\na = {from = 'client.tar', networks = ['b']}\n",
            "machine a: network 'b': none",
        ),
        ("[tool.rootrun.machines]\na = {networks = 'b'}\n", "networks: not a list of names"),
    ],
)
def test_what_a_header_cannot_say_is_told_with_its_place(
    toml: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        _run(tmp_path, toml)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# /// script\n# [tool.rootrun]\nTrue\n", "line 1: a header without its end"),
        ("# /// script\n# ///\n\n# /// script\n# ///\n", "line 4: a second header"),
    ],
    ids=["no end", "two"],
)
def test_half_a_header_and_two_are_told(text: str, message: str, tmp_path: Path) -> None:
    script = tmp_path / "test.py"
    script.write_text(text)
    with pytest.raises(UsageError, match=message):
        test_run_of(parse(TEST_COMMAND, [str(script)]), read_script(script))


def test_a_machine_is_given_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--machine: 'a': given more than once"):
        _run(tmp_path, "", "--machine", "a=x", "--machine", "a=y")


@pytest.mark.parametrize("text", ["a", "=x", "a=", ""])
def test_a_machine_has_a_name_and_an_image(text: str) -> None:
    with pytest.raises(UsageError, match="not NAME=IMAGE"):
        parse(TEST_COMMAND, ["test.py", "--machine", text])
