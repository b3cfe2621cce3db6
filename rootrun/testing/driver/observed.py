"""Machines whose methods are told as the steps of a test, and that start when they are used."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps

from rootrun.annotation import Protocol
from rootrun.testing.command import Result
from rootrun.testing.driver.steps import Steps, shown_call
from rootrun.testing.machine import Machine

_SILENT = {"is_up", "messages", "close"}
_NEEDS_NO_START = {"close", "is_up", "start", "shutdown", "crash"}
_ENDS = {"shutdown", "crash"}
# With a machine that is down they begin with its start, as the driver of NixOS has it.
_RUNS_COMMANDS = {
    *("execute", "succeed", "fail", "wait_until_succeeds", "wait_until_fails", "wait_for_file"),
    *("wait_for_open_port", "wait_for_closed_port", "shell_interact"),
}


class Method(Protocol):
    """Any method of a machine."""

    def __call__(self, *arguments: object, **options: object) -> object:
        """Call it."""


# Whether a method of a machine is at work in this thread: what it calls is no step.
_IS_INNER = ContextVar("is_inner", default=False)


class ObservedMachine:
    """What is known of a machine of a script; the machine itself stays what it is."""

    def __init__(
        self,
        machine: Machine,
        steps: Steps,
        *,
        boots: list[BaseException],
        adopt: Callable[[Machine], None],
    ) -> None:
        self._machine = machine
        self._steps = steps
        self._boots = boots  # what went wrong with them
        self._adopt = adopt
        self._methods: dict[str, Method] = {}
        for name, member in vars(type(machine)).items():
            if callable(member) and not name.startswith("_"):
                vars(machine).pop(name, None)  # a fork has those of the machine that it was
                self._methods[name] = getattr(machine, name)
                setattr(machine, name, self._observed(name, self._methods[name]))
        self._was_started = machine.is_up()  # a fork is
        self._is_down = not self._was_started

    def _observed(self, name: str, method: Method) -> Method:
        @wraps(method)
        def call(*arguments: object, **options: object) -> object:
            if _IS_INNER.get() or name in _SILENT:
                return method(*arguments, **options)
            token = _IS_INNER.set(True)
            try:
                return self._do(name, method, arguments, options)
            finally:
                _IS_INNER.reset(token)

        return call

    def _do(
        self, name: str, method: Method, arguments: tuple[object, ...], options: dict[str, object]
    ) -> object:
        boots_only = name == "start" and not arguments and "command" not in options
        if name in _ENDS and not self._was_started:
            return None
        if not boots_only and self._is_to_start(name):
            self._start(self._methods["start"], {})
        if boots_only:
            return self._start(method, options)
        with self._steps.step(f"{self._machine.name}: {shown_call(name, arguments, options)}"):
            answer = method(*arguments, **options)
        self._is_down = name in _ENDS or (self._is_down and name != "reboot")
        self._tell(answer)
        return answer

    def _is_to_start(self, name: str) -> bool:
        if self._is_down and (name in _RUNS_COMMANDS or name == "start"):
            return True
        return not self._was_started and name not in _NEEDS_NO_START

    def _start(self, method: Method, options: dict[str, object]) -> object:
        with self._steps.step(f"{self._machine.name}: start"):
            try:
                answer = method(**options)
            except Exception as error:
                self._boots.append(error)
                raise
        self._was_started, self._is_down = True, False
        return answer

    def _tell(self, answer: object) -> None:
        if isinstance(answer, Machine):
            self._adopt(answer)
        elif isinstance(answer, Result):
            self._steps.show_output(self._machine.name, answer.stdout, answer.stderr)
        elif isinstance(answer, str):
            self._steps.show_output(self._machine.name, answer)
