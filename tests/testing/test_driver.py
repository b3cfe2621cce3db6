"""What a test script finds, without a machine: its steps, its names, and the hints."""

import re
from collections.abc import Callable

import pytest

from rootrun.cli.manual import MANUAL
from rootrun.errors import ImageError, MachineTimeoutError
from rootrun.testing import Machine, Network, Service
from rootrun.testing.driver.hints import MISSING_METHODS, hint_for
from rootrun.testing.driver.names import as_python, retry
from rootrun.testing.driver.steps import Steps, shown_call

_TESTING = MANUAL.read_text(encoding="utf-8").partition(".SH TESTING")[2].partition(".SH ")[0]
# Of the parts of a machine among each other, and of reports.
_UNTOLD = {"join", "leave", "start", "plug", "unplug", "hosts", "links", "messages", "close"}


def _public(kind: type) -> list[str]:
    return [name for name in vars(kind) if not name.startswith("_")]


@pytest.mark.parametrize("name", _public(Machine))
def test_the_manual_names_each_method_of_a_machine(name: str) -> None:
    assert f"\\fB{name}\\fR" in _TESTING or name == "messages"


@pytest.mark.parametrize("kind", [Network, Service])
def test_the_manual_names_what_networks_and_services_do(kind: type) -> None:
    names = set(_public(kind)) - _UNTOLD - {"name", "subnet", "at"}
    assert {name for name in names if f"\\fB{name}\\fR" not in _TESTING} == set()


def test_hints_are_for_methods_that_machines_do_not_have() -> None:
    assert not MISSING_METHODS.keys() & set(_public(Machine))


@pytest.mark.parametrize("hint", sorted(set(MISSING_METHODS.values())))
def test_what_hints_lead_to_is_there(hint: str) -> None:
    for name in re.findall(r"\b(wait_\w+|copy_\w+|shutdown)\b", hint):
        assert hasattr(Machine, name)


def test_errors_of_rootrun_bring_their_hint() -> None:
    assert hint_for(ImageError("read image: x: two", hint="pick one")) == "pick one"
    assert hint_for(ImageError("read image: x: none")) is None


@pytest.mark.parametrize(
    ("arguments", "options", "shown"),
    [
        ((), {}, "succeed"),
        (("ls -l",), {}, "succeed: ls -l"),
        (("one", "two"), {"timeout": 5}, "succeed: one; two (timeout=5)"),
        ((80,), {"address": "::1"}, "succeed: 80 (address='::1')"),
        (("a" * 500,), {}, f"succeed: {'a' * 400}... (100 more)"),
    ],
    ids=["nothing", "command", "two", "numbers", "long"],
)
def test_steps_show_calls(
    arguments: tuple[object, ...], options: dict[str, object], shown: str
) -> None:
    assert shown_call("succeed", arguments, options) == shown


def test_steps_of_a_failed_subtest_are_told_to_its_end() -> None:
    told: list[str] = []
    steps = Steps(told.append)

    def fail() -> None:
        with steps.subtest("part"), steps.nested("deeper"):
            steps.say("two\nlines")
            raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        fail()
    assert [line[11:].partition(" in ")[0] for line in told] == [
        "subtest: part",
        "  deeper",
        "    two",
        "    lines",
        "subtest: part: failed",
    ]
    [part] = steps.subtests
    assert (part.has_passed, str(part.error)) == (False, "why")


@pytest.mark.parametrize(
    ("name", "written"), [("web", "web"), ("web-1", "web_1"), ("1st", "_st"), ("a-b-c", "a_b_c")]
)
def test_names_are_as_python_has_them(name: str, written: str) -> None:
    assert as_python(name) == written


def _true_at(number: int, tries: list[bool]) -> Callable[[bool], bool]:
    def condition(is_last: bool) -> bool:
        tries.append(is_last)
        return len(tries) == number or (is_last and number == 0)

    return condition


def test_retry_tries_until_it_is_true_and_once_more_at_the_end() -> None:
    tries: list[bool] = []
    retry(_true_at(3, tries), timeout=20)
    assert tries == [False] * 3
    tries.clear()
    retry(_true_at(0, tries), timeout=0.05)
    assert tries[-1]
    with pytest.raises(MachineTimeoutError, match=r"retry: condition: not within 0\.05 s"):
        retry(_true_at(-1, tries), timeout=0.05)
