"""A machine under test."""

import copy
import os
import shlex
import time
from collections.abc import Mapping, Sequence

from rootrun.annotation import overload
from rootrun.errors import CommandError, MachineTimeoutError
from rootrun.testing import files, observation, ports
from rootrun.testing.changes import Change, changes_of
from rootrun.testing.command import Command, Result, short
from rootrun.testing.commit import CommitOptions, Committed, commit
from rootrun.testing.fork import forked_link
from rootrun.testing.link import ANSWERS_WITHIN_S, MachineLink
from rootrun.testing.names import check_host_name
from rootrun.testing.network import Network, Seat
from rootrun.testing.options import MachineOptions, plan_of
from rootrun.testing.report import output_told
from rootrun.testing.service import Service, Start
from rootrun.testing.task_names import CRASH, SHUT_DOWN
from rootrun.testing.waiting import wait_until

TIMEOUT_S = 900.0  # as the driver of NixOS has it

_BOOTS_WITHIN_S = 300.0  # with an image to be unpacked
_GRACE_S = 5.0
_HANGS_AFTER_S = 1.0  # a command that is tried again and again


class Machine:
    """A root file system under test, with what runs in it. A context manager, which starts it.

    Commands run as root by ``/bin/sh -c``, in ``/``, with the environment that a script has in
    rootrun(1). Each takes a time limit in seconds. Several threads may use a machine at once.
    """

    def __init__(
        self,
        image: str | os.PathLike[str],
        *,
        name: str = "machine",
        networks: Sequence[Network | Seat] = (),
        options: MachineOptions | None = None,
    ) -> None:
        self.name = check_host_name("machine", name)
        options = options or MachineOptions()
        plan = plan_of(name, image, options, has_hosts=bool(networks))
        self._link = MachineLink(plan, options, networks)

    def __enter__(self) -> "Machine":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @overload
    def start(self, *, timeout: float = _BOOTS_WITHIN_S) -> None: ...

    @overload
    def start(
        self,
        command: str,
        *,
        name: str | None = None,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Service: ...

    def start(
        self,
        command: str | None = None,
        *,
        name: str | None = None,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = _BOOTS_WITHIN_S,
    ) -> Service | None:
        """Boot the machine, if it is down; or start ``command`` as a service of one that is up."""
        if command is not None:
            return Service(self._link, Start(command, name, user, cwd, env), timeout=timeout)
        if not self._link.is_up():
            self._link.start(deadline_s=time.monotonic() + timeout)
        return None

    def execute(
        self,
        command: str,
        *,
        timeout: float | None = TIMEOUT_S,
        user: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run ``command``, a line for the shell, and return its status, stdout and stderr."""
        line = Command(["/bin/sh", "-c", command], env, cwd, user)
        return self._link.run(line, timeout_s=timeout, what=f"{self.name}: {short(command)}")

    def succeed(self, *commands: str, timeout: float | None = TIMEOUT_S) -> str:
        """Run ``commands`` one after the other and return what they wrote to stdout.

        Raises CommandError for the first one that does not end with status 0.
        """
        return "".join(self._expect(command, timeout, succeeds=True) for command in commands)

    def fail(self, *commands: str, timeout: float | None = TIMEOUT_S) -> str:
        """Run ``commands``, each of which must not end with status 0; return their stdout."""
        return "".join(self._expect(command, timeout, succeeds=False) for command in commands)

    def shell_interact(
        self, command: str | Sequence[str] | None = None, *, user: str | None = None
    ) -> int:
        """Run a shell of the image, or ``command``, at our terminal; return its status."""
        from rootrun.testing.terminal import interact, shell_of  # few tests do

        return interact(self._link, Command(shell_of(command), user=user))

    def wait_until_succeeds(self, command: str, *, timeout: float = TIMEOUT_S) -> str:
        """Run ``command`` again and again until it ends with status 0; return its stdout."""
        return self._repeat(command, timeout, succeeds=True)

    def wait_until_fails(self, command: str, *, timeout: float = TIMEOUT_S) -> str:
        """Run ``command`` again and again until it does not end with status 0."""
        return self._repeat(command, timeout, succeeds=False)

    def is_up(self) -> bool:
        """Say whether commands can run in it."""
        return self._link.is_up()

    def wait_for_file(self, path: str, *, timeout: float = TIMEOUT_S) -> None:
        """Wait until there is something at ``path``."""
        self.wait_until_succeeds(f"test -e {shlex.quote(path)}", timeout=timeout)

    def wait_for_open_port(
        self, port: int, *, address: str = "127.0.0.1", timeout: float = TIMEOUT_S
    ) -> None:
        """Wait until something takes TCP connections to ``port`` at an address of the machine."""
        ports.wait_for_port(self._link, port, address, timeout_s=timeout, is_open=True)

    def wait_for_closed_port(
        self, port: int, *, address: str = "127.0.0.1", timeout: float = TIMEOUT_S
    ) -> None:
        """Wait until nothing takes TCP connections to ``port`` any more."""
        ports.wait_for_port(self._link, port, address, timeout_s=timeout, is_open=False)

    def open_ports(self) -> Sequence[ports.OpenPort]:
        """Return what takes TCP connections, or UDP datagrams."""
        return ports.open_ports(self._link)

    def processes(self) -> Sequence[observation.Process]:
        """Return what runs in it, by pid."""
        return observation.processes(self._link)

    def usage(self) -> observation.Usage:
        """Return what it used since it was booted, also by processes that have ended."""
        return observation.usage(self._link)

    def read_bytes(self, path: str) -> bytes:
        """Return the content of a file, as root of the machine sees it."""
        return files.read_bytes(self._link, path)

    def read_text(self, path: str) -> str:
        """Return the content of a text file, UTF-8."""
        return self.read_bytes(path).decode(errors="backslashreplace")

    def write_bytes(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write a file, of ``mode`` if it is new; the directory must be there."""
        files.write_bytes(self._link, path, content, mode=mode)

    def write_text(self, path: str, content: str, *, mode: int = 0o644) -> None:
        """Write a text file, UTF-8."""
        self.write_bytes(path, content.encode(), mode=mode)

    def copy_to(
        self, source: str | os.PathLike[str], destination: str, *, timeout: float = TIMEOUT_S
    ) -> None:
        """Copy a file or directory of the host in, as ``cp -r``: 0:0, with its mode."""
        files.copy_to(self._link, source, destination, deadline_s=time.monotonic() + timeout)

    def copy_from(
        self, source: str, destination: str | os.PathLike[str], *, timeout: float = TIMEOUT_S
    ) -> None:
        """Copy a file or directory out, as ``cp -r``: the caller's, with its permissions."""
        files.copy_from(self._link, source, destination, deadline_s=time.monotonic() + timeout)

    def diff(self, *, timeout: float = TIMEOUT_S) -> Sequence[Change]:
        """Return what changed since the start. What runs stands still meanwhile."""
        return changes_of(self._link, deadline_s=time.monotonic() + timeout)

    def commit(
        self,
        output: str | os.PathLike[str],
        options: CommitOptions | None = None,
        *,
        timeout: float = TIMEOUT_S,
    ) -> Committed:
        """Write an image with the change as one more layer to ``output``, as ``-o`` takes it."""
        options = options or CommitOptions()
        return commit(self._link, output, options, deadline_s=time.monotonic() + timeout)

    def fork(
        self, name: str, *, networks: Sequence[Network | Seat] = (), timeout: float = TIMEOUT_S
    ) -> "Machine":
        """Return another machine, up, with the files as they are now; nothing runs in it."""
        forked, deadline_s = copy.copy(self), time.monotonic() + timeout
        forked.name = check_host_name("machine", name)
        link = forked_link(self._link, name, networks, deadline_s=deadline_s)
        forked._link = link  # noqa: SLF001 # it is one of us
        return forked

    def shutdown(self, *, grace: float = _GRACE_S) -> None:
        """End all processes: SIGTERM, then after ``grace`` seconds SIGKILL. Files stay."""
        deadline_s = time.monotonic() + grace + ANSWERS_WITHIN_S
        what = f"shut down machine {self.name}"
        self._link.ask(SHUT_DOWN, {"grace_s": grace}, deadline_s=deadline_s, what=what)
        self._link.membership.unplug()

    def crash(self) -> None:
        """End all processes at once, as if the power had gone. Files stay."""
        self._link.ask(CRASH, what=f"crash machine {self.name}")
        self._link.membership.unplug()

    def reboot(self, *, grace: float = _GRACE_S) -> None:
        """Shut the machine down and start it again."""
        self.shutdown(grace=grace)
        self.start()

    def block(self) -> None:
        """Pull the plugs of all its networks."""
        self._link.membership.set_links(up=False)

    def unblock(self) -> None:
        """Put the plugs of all its networks back."""
        self._link.membership.set_links(up=True)

    def close(self) -> None:
        """End the machine and remove its files; nothing happens if it is gone."""
        self._link.close()

    def messages(self) -> str:
        """Return what rootrun logged about this machine, lines of a level and a message."""
        return self._link.child.messages()

    def _expect(self, command: str, timeout: float | None, *, succeeds: bool) -> str:
        result = self.execute(command, timeout=timeout)
        if (result.status == 0) is not succeeds:
            raise CommandError(self._outcome(command, result) + self._details(result))
        return result.stdout

    def _outcome(self, command: str, result: Result | None) -> str:
        if result is None:
            return f"{self.name}: {short(command)}"
        return f"{self.name}: {short(command)}: ended with status {result.status}"

    def _details(self, result: Result | None) -> str:
        output = output_told(result.stdout, result.stderr) if result else ""
        return output + self._link.services_told()

    def _repeat(self, command: str, timeout: float, *, succeeds: bool) -> str:
        last: Result | None = None

        def is_done(left_s: float) -> bool:
            nonlocal last
            try:
                last = self.execute(command, timeout=left_s)
            except MachineTimeoutError:
                if last is None or left_s > _HANGS_AFTER_S:
                    raise
                return False  # it had no time, and what the last one did says more
            return (last.status == 0) is succeeds

        wait_until(
            is_done,
            timeout_s=timeout,
            describe=lambda: self._outcome(command, last),
            details=lambda: self._details(last),
        )
        assert last is not None
        return last.stdout
