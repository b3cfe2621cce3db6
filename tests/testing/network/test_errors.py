"""What cannot be on a network: errors with the value."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

_TWICE = "network lan: machine 'a': there is one of this name"
_PLACES = (
    "network lan: machine 'b': its id map, cache or directory for temporary files"
    " is not that of 'a'"
)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('Machine("base.tar", name="a", networks=[lan])', _TWICE),
        (
            'Machine("base.tar", name="b", networks=[lan.at("10.1.0.1")])',
            "network lan: address 10.1.0.1: a has it",
        ),
        (
            'Machine("base.tar", name="b", networks=[lan, Network("wide", subnet="10.0.0.0/8")])',
            "machine b: networks lan and wide: 10.1.0.0/24 and 10.0.0.0/8 overlap",
        ),
        (
            'Machine("base.tar", networks=[lan], options=MachineOptions(host_network=True))',
            "machine machine: network lan: it has the network of the host",
        ),
        (
            'Machine("base.tar", name="b", networks=[lan], options=MachineOptions(idmap="single"))',
            _PLACES,
        ),
        ('lan.address_of("c")', "network lan: machine 'c': not on it"),
        ('lan.partition(["a"], ["a"])', "network lan: partition: 'a': in two groups"),
        ('Network("My LAN")', "network: 'My LAN': not a host name of lower-case letters"),
        (
            'lan.close(); Machine("base.tar", name="b", networks=[lan])',
            "network lan: was closed",
        ),
    ],
    ids=[
        *("name", "address", "overlap", "host network", "places"),
        *("stranger", "groups", "network name", "closed"),
    ],
)
def test_what_cannot_be_is_an_error_with_the_value(
    line: str, message: str, lone_workplace: Workplace
) -> None:
    source = f"""
from rootrun.errors import RootrunError
lan = Network("lan", subnet="10.1.0.0/24")
a = Machine("base.tar", name="a", networks=[lan])
try:
    {line}
except RootrunError as error:
    tell(str(error))
"""
    [told] = run_harness(lone_workplace, source)
    assert str(told).startswith(message)


def test_machine_that_is_refused_on_one_network_is_on_none(lone_workplace: Workplace) -> None:
    source = """
lan, wan = Network("lan"), Network("wan")
Machine("base.tar", name="a", networks=[wan])
try:
    Machine("base.tar", name="a", networks=[lan, wan])
except Exception as error:
    tell(str(error))
tell(lan.address_of(Machine("base.tar", name="a", networks=[lan])))
"""
    told = "network wan: machine 'a': there is one of this name"
    assert run_harness(lone_workplace, source) == [told, "10.77.0.1"]


def test_reason_why_there_is_no_network_is_told(lone_workplace: Workplace) -> None:
    lone_workplace.write("sitecustomize.py", "import sys; sys.modules['pyroute2'] = None")
    source = """
os.environ["PYTHONPATH"] = os.getcwd()
try:
    Machine("base.tar", name="a", networks=[Network("lan")]).start()
except Exception as error:
    tell(str(error))
"""
    [told] = run_harness(lone_workplace, source)
    assert str(told).startswith("make network lan: internal error: ModuleNotFoundError: ")
