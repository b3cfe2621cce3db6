"""What the header of a test script and the options of ``rootrun test`` come to."""

import os

from rootrun.annotation import TypeVar, cast
from rootrun.cli.grammar import Group
from rootrun.cli.parser import Options
from rootrun.cli.test_header import Header, Values, read_header
from rootrun.cli.test_options import MACHINE, TEST
from rootrun.dataclass import replace
from rootrun.errors import UsageError
from rootrun.namedtuple import NamedTuple
from rootrun.testing.driver.plan import MachineSetup, NetworkSetup, TestPlan
from rootrun.testing.driver.script import Script
from rootrun.testing.options import MachineOptions

USUAL_NETWORK = "lan"
USUAL_MACHINE = "machine"

Value = TypeVar("Value")


class TestRun(NamedTuple):
    """A test as it is to be run."""

    plan: TestPlan
    timeout_s: float | None
    is_debugging: bool = False


def test_run_of(options: Options, script: Script) -> TestRun:
    """Return what ``options`` and the header of ``script`` say; raises UsageError."""
    header = read_header(script.path, script.text)
    for_all = _laid_over(header.values, _given(options, TEST))
    common = MachineOptions(
        idmap=_get(for_all, "idmap", "auto"),
        cache_dir=options.cache_dir,
        no_cache=options.no_cache,
        tmpdir=options.tmpdir,
    )
    machines = _machines(options, header, common, where=os.fspath(script.path))
    networks = _networks(header, machines)
    known = {network.name for network in networks}
    for machine in machines:
        for name in machine.networks or ():
            if name not in known:
                raise UsageError(f"{script.path}: machine {machine.name}: network {name!r}: none")
    made = _options_of(_laid_over(header.values, _given(options, MACHINE)), common)
    plan = TestPlan(machines, networks, made, keeps_going=options.keep_going)
    timeout_s: float | None = _get(for_all, "timeout", None)
    return TestRun(plan, timeout_s, options.debug)


def _machines(
    options: Options, header: Header, common: MachineOptions, *, where: str
) -> tuple[MachineSetup, ...]:
    images = dict(options.machines)
    if len(images) < len(options.machines):
        names = [name for name, _ in options.machines]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"--machine: {twice!r}: given more than once")
    given = _given(options, MACHINE)
    names = list(dict.fromkeys([*header.machines, *images]))
    if not names and _laid_over(header.values, given).get("from_image"):
        names = [USUAL_MACHINE]
    made = []
    for name in names:
        declared = header.machines.get(name)
        own = declared.values if declared else {}
        values = _laid_over(header.values, own, given)
        image: str | None = images.get(name) or _get(values, "from_image", None)
        if image is None:
            raise UsageError(f"{where}: machine {name}: no image", hint=f"--machine {name}=IMAGE")
        machine = _options_of(values, common)
        networks = declared.networks if declared else None
        if machine.host_network and not networks:
            networks = ()
        made.append(MachineSetup(name, image, machine, networks))
    return tuple(made)


def _networks(header: Header, machines: tuple[MachineSetup, ...]) -> tuple[NetworkSetup, ...]:
    """Return those of the header, else one for all, if there is more than one machine to be on."""
    if header.networks is not None:
        return tuple(NetworkSetup(name, subnet) for name, subnet in header.networks.items())
    on_one = [machine for machine in machines if machine.networks != ()]
    return (NetworkSetup(USUAL_NETWORK),) if len(on_one) > 1 else ()


def _given(options: Options, group: Group) -> Values:
    """Return the options of ``group`` that the command line has."""
    values = {option.key: getattr(options, option.key) for option in group.options}
    usual = {option.key: option.default for option in group.options}
    return {key: value for key, value in values.items() if value not in (usual[key], [], None)}


def _laid_over(*layers: Values) -> Values:
    """Return the values of ``layers``, the last of a kind; lists are put together."""
    merged: Values = {}
    for layer in layers:
        for key, value in layer.items():
            before = merged.get(key)
            is_more = isinstance(value, list) and isinstance(before, list)
            merged[key] = [*before, *value] if is_more else value  # type: ignore[misc] # both lists
    return merged


def _options_of(values: Values, common: MachineOptions) -> MachineOptions:
    return replace(
        common,
        ref=_get(values, "from_ref", None),
        architecture=_get(values, "arch", None),
        environment=dict(_get(values, "env", [])),
        host_network=_get(values, "network", "none") == "host",
        binds=tuple(_get(values, "binds", [])),
        tmpfs=tuple(_get(values, "tmpfs", [])),
        memory_bytes=_get(values, "memory", None),
        pids=_get(values, "pids", None),
        disk_bytes=_get(values, "disk", None),
        nofile=_get(values, "nofile", None),
        cpus=_get(values, "cpus", None),
        rootfs=_get(values, "rootfs", "auto"),
        emulate=_get(values, "emulate", "auto"),
    )


def _get(values: Values, key: str, missing: Value) -> Value:
    """Return a value of the kind that the option of ``key`` has."""
    return cast("Value", values.get(key, missing))
