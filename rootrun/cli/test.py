"""``rootrun test``: a test script with its machines by their names."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rootrun.cli.messages import one_line, tell_error
from rootrun.cli.parser import Options
from rootrun.cli.report import compact
from rootrun.cli.stdout import require_stdout, write_out
from rootrun.cli.terminal import red
from rootrun.cli.test_plan import TestRun, test_run_of
from rootrun.errors import EXIT_ROOTRUN_FAILED, EXIT_TIMEOUT, Interrupted, RootrunError
from rootrun.testing.driver.driver import Driver
from rootrun.testing.driver.failure import Failure, failure_of
from rootrun.testing.driver.names import names_of
from rootrun.testing.driver.script import Script, read_script, run_script

EXIT_TEST_FAILED = 1


def run_test(options: Options) -> int:
    """Run the test that ``options`` name, tell how it went, and return the exit status."""
    if options.json:
        require_stdout()
    script = read_script(options.test_script)
    run = test_run_of(options, script)
    is_quiet = options.quiet > options.verbose
    with Driver(run.plan, lambda line: None if is_quiet else _tell(line)) as driver:
        driver.steps.shows_output = bool(options.verbose)
        names = names_of(driver)
        if options.interactive:
            return _interact(script, names, driver, run)
        status, failures = _run(script, names, driver, run)
        if failures:
            _tell_machines(driver, failures, is_verbose=bool(options.verbose))
    _tell_end(script, driver, failures, is_quiet=is_quiet)
    if options.json:
        write_out(f"{compact(_to_json(driver, failures))}\n")
    return status


def _run(
    script: Script, names: dict[str, object], driver: Driver, run: TestRun
) -> tuple[int, list[Failure]]:
    """Run the script; return the exit status, and what failed, which has been shown."""
    error = _error_of(script, names, driver, run)
    errors: list[BaseException] = [part.error for part in driver.steps.subtests if part.error]
    if error is not None and error not in errors:
        errors.append(error)
    failures = [failure_of(one, script, shows_ours=run.is_debugging) for one in errors]
    for failure in failures:
        for line in failure.lines:
            _tell(line)
    if isinstance(error, Interrupted) and error.signal_number == signal.SIGALRM:
        reason = f"longer than --timeout {run.timeout_s:g} s"
        failures[-1] = failures[-1]._replace(reason=reason, hint=None)
        return EXIT_TIMEOUT, failures
    if isinstance(error, Interrupted | KeyboardInterrupt):
        raise error
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code & 0xFF, failures
    if any(map(driver.is_ours, errors)):
        return EXIT_ROOTRUN_FAILED, failures
    return EXIT_TEST_FAILED if errors else 0, failures


def _error_of(
    script: Script, names: dict[str, object], driver: Driver, run: TestRun
) -> BaseException | None:
    """Run the script; return what ended it, None for its end, or an exit with status 0."""
    try:
        with _time_limit(run.timeout_s, driver):
            run_script(script, names)
    except SystemExit as error:
        return error if error.code else None
    except BaseException as error:
        return error
    return None


@contextmanager
def _time_limit(timeout_s: float | None, driver: Driver) -> Iterator[None]:
    """Raise Interrupted, of SIGALRM, where the block takes longer."""

    def interrupt(number: int, _: FrameType | None) -> None:
        driver.gather_stacks()  # now: who is interrupted may end what hangs
        raise Interrupted(number)

    if timeout_s is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _interact(script: Script, names: dict[str, object], driver: Driver, run: TestRun) -> int:
    """Give the user a prompt with what the script has; ``test_script()`` runs it there."""
    from rootrun.cli.test_prompt import prompt

    def test_script() -> None:
        _, failures = _run(script, names, driver, run)
        _tell_machines(driver, failures, is_verbose=False)
        _tell_end(script, driver, failures, is_quiet=False)

    names.update(test_script=test_script, run_tests=test_script)
    machines = ", ".join(driver.names) or "none"
    banner = f"machines: {machines}\ntest_script() runs {script.path}, exit() ends."
    return prompt(banner, names, shows_ours=run.is_debugging)


def _tell_machines(driver: Driver, failures: list[Failure], *, is_verbose: bool) -> None:
    """Show what services wrote, and of what rootrun had to say the warnings, each once."""
    shown = "\n".join(line for failure in failures for line in failure.lines)
    told = set()
    for name, work, messages in driver.states():
        if work and work not in shown:
            _tell(f"{name}:")
            for line in work.splitlines():
                _tell(f"  {line}")
        for message in messages.splitlines():
            if (is_verbose or message.startswith("warning:")) and message not in told:
                told.add(message)
                _tell(f"{name}: {message}")


def _tell_end(script: Script, driver: Driver, failures: list[Failure], *, is_quiet: bool) -> None:
    parts = driver.steps.subtests
    for failure in failures:
        place = f"line {failure.line}: " if failure.line else ""
        tell_error(RootrunError(f"{script.path}: {place}{failure.reason}", hint=failure.hint))
    if failures or is_quiet:
        return
    count = f"{len(parts)} subtest{'s' * (len(parts) != 1)}, " if parts else ""
    _tell(f"rootrun: {script.path}: passed, {count}{driver.steps.seconds:.2f} s")


def _to_json(driver: Driver, failures: list[Failure]) -> dict[str, object]:
    """Return the object of ``--json``. Its keys are an interface: add, never rename."""
    return {
        "passed": not failures,
        "seconds": round(driver.steps.seconds, 3),
        "machines": [*driver.names],
        "subtests": [
            {
                "name": part.name,
                "passed": part.has_passed,
                "startedSeconds": round(part.started_s, 3),
                "seconds": round(part.seconds, 3),
            }
            for part in driver.steps.subtests
        ],
        "failures": [{"line": one.line, "reason": one.reason} for one in failures],
    }


def _tell(line: str) -> None:
    shown = one_line(line)
    with suppress(OSError):  # nobody is there to be told, and the exit status says enough
        print(red(shown) if line.startswith("Traceback") else shown, file=sys.stderr, flush=True)
