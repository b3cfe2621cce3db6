"""A virtual machine for a test, with the verbs of the NixOS test driver.

``with Machine(kernel, rootfs) as machine: machine.start(); machine.succeed("true")``
"""

import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from vmtests.control import Answer, Control
from vmtests.images import Kernel, empty_disk
from vmtests.qemu import Disk, Qemu, command_line, connected

_BOOT_S = 180  # 3 s where nothing else runs
_SHUTDOWN_S = 60
_POLL_S = 0.3
_TAIL_LINES = 40
_SECTOR_BYTES = 512
_PANIC = b"Kernel panic"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_Result = TypeVar("_Result")
_OUTPUT = "output"  # the disk by which files come back


class MachineError(AssertionError):
    """Something in the guest, or the guest itself, is not as the test wants it.

    The message has all that is known: status, output, and the end of the console.
    """


class Machine:
    """A guest. Disks are added before it is started; it is killed when the context ends."""

    def __init__(
        self, kernel: Kernel, rootfs: Path, *, memory_mib: int = 512, append: str = ""
    ) -> None:
        self._kernel = kernel
        self._memory_mib = memory_mib
        self._append = append
        self._disks = {"root": Disk(rootfs, is_read_only=True)}
        self._directory = Path()
        self._qemu: Qemu | None = None
        self._control: Control | None = None
        self._devices: dict[str, str] = {}
        self.release = ""  # of the kernel, once it is up

    def __enter__(self) -> Self:
        # A socket's path has at most 107 bytes: not below pytest's directories.
        self._directory = Path(tempfile.mkdtemp(prefix="rrvm", dir="/tmp"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.crash()
        shutil.rmtree(self._directory)

    def disk(
        self,
        name: str,
        *,
        file: Path | None = None,
        size: str = "",
        cache: str = "unsafe",
    ) -> Path:
        """Add a disk: ``file`` as it is, read-only, or a new ext4 of ``size``; return its file.

        A tar is a disk too: ``tar -xf "$(device NAME)"``.
        """
        if file is None:
            path = empty_disk(self._directory / f"{name}.disk", size=size)
            self._disks[name] = Disk(path, cache=cache)
            return path
        self._disks[name] = Disk(_whole_sectors(file, self._directory / name), is_read_only=True)
        return file

    def start(self, *, state: Path | None = None, timeout_s: int = _BOOT_S) -> None:
        """Boot, and wait until commands can be run; with ``state``, go on from there."""
        if _OUTPUT not in self._disks:
            output = self._directory / _OUTPUT
            with output.open("wb") as content:
                content.truncate(1 << 30)
            self._disks[_OUTPUT] = Disk(output)
        argv = command_line(
            self._kernel,
            self._disks,
            directory=self._directory,
            memory_mib=self._memory_mib,
            append=self._append,
        )
        if state is not None:
            argv += ["-incoming", f"exec:cat {shlex.quote(os.fspath(state))}"]
        for name in ("control", "monitor", "console"):
            (self._directory / name).unlink(missing_ok=True)
        self._qemu = Qemu(argv, directory=self._directory)
        try:
            connection = connected(self._directory / "control", self._qemu, timeout_s)
        except TimeoutError as error:
            raise self._error(str(error), None) from error
        self._control = Control(connection, self._check)
        if state is None:
            self.release = self._guarded(lambda control: control.wait_until_ready(timeout_s))
            self._devices = self._find_devices()
        else:
            self._restored()

    def execute(self, command: str, *, timeout_s: int = 120, user: str | None = None) -> Answer:
        """Run ``command`` by /bin/sh, as ``user`` in a clean environment; return what it did."""
        if user is not None:
            command = _as_user(user, command)
        return self._guarded(lambda control: control.ask(command, timeout_s))

    def succeed(self, *commands: str, timeout_s: int = 120, user: str | None = None) -> str:
        """Run ``commands``, each of which must have status 0; return their output."""
        outputs = []
        for command in commands:
            answer = self.execute(command, timeout_s=timeout_s, user=user)
            if answer.status != 0:
                raise self._error(f"{command!r} failed", answer)
            outputs.append(answer.stdout)
        return "".join(outputs)

    def fail(self, command: str, *, timeout_s: int = 120, user: str | None = None) -> Answer:
        """Run ``command``, which must not have status 0."""
        answer = self.execute(command, timeout_s=timeout_s, user=user)
        if answer.status == 0:
            raise self._error(f"{command!r} worked", answer)
        return answer

    def wait_until_succeeds(self, command: str, *, timeout_s: int = 120) -> str:
        """Run ``command`` until it has status 0, and return its output."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self.execute(command, timeout_s=timeout_s)
            if answer.status == 0:
                return answer.stdout
            if time.monotonic() > deadline:
                raise self._error(f"{command!r} failed for {timeout_s} s", answer)
            time.sleep(_POLL_S)

    def wait_for_file(self, path: str, *, timeout_s: int = 120) -> None:
        """Wait until ``path`` is there."""
        self.wait_until_succeeds(f"test -e {shlex.quote(path)}", timeout_s=timeout_s)

    def put_text(self, path: str, text: str) -> None:
        """Write a small file: the channel carries 0.15 MB a second."""
        self.succeed(f"printf %s {shlex.quote(text)} > {shlex.quote(path)}")

    def get(self, path: str) -> bytes:
        """Return the content of a file of any size, by a disk."""
        target = self.device(_OUTPUT)
        source = shlex.quote(path)
        copied = f"dd if={source} of={target} bs=1M conv=fsync,notrunc status=none"
        size = int(self.succeed(f"{copied} && stat -Lc %s {source}", timeout_s=600))
        with self._disks[_OUTPUT].path.open("rb") as output:
            return output.read(size)

    def python(self, code: str, *, user: str | None = None, timeout_s: int = 120) -> str:
        """Run Python ``code``, which must work, and return its output."""
        return self.succeed(f"python3 -c {shlex.quote(code)}", user=user, timeout_s=timeout_s)

    def sysctl(self, name: str, value: int | str) -> None:
        """Set a variable of the kernel."""
        self.succeed(f"echo {value} > /proc/sys/{name.replace('.', '/')}")

    def device(self, name: str) -> str:
        """Return the device of the disk ``name`` in the guest."""
        return self._devices[name]

    def mount(self, name: str, target: str, *, owner: str = "root") -> None:
        """Mount the disk ``name`` in the guest and give it to ``owner``."""
        self.succeed(
            f"mkdir -p {target} && mount {self.device(name)} {target} && chown {owner}: {target}"
        )

    def console(self) -> str:
        """Return what the guest's kernel and init wrote."""
        path = self._directory / "console"
        return path.read_bytes().decode(errors="replace") if path.exists() else ""

    def cpu_s(self) -> float:
        """Return the processor time that the guest has cost this machine."""
        assert self._qemu is not None, "it is not started"
        return self._qemu.cpu_s()

    def shutdown(self) -> None:
        """Power off in good order: what is written is on the disks then."""
        assert self._qemu is not None, "it is not started"
        assert self._control is not None, "it is not started"
        self._control.quit()
        if not self._qemu.wait(_SHUTDOWN_S):
            raise self._error("it did not power off", None)
        self.crash()

    def crash(self) -> None:
        """Cut the power: QEMU is killed, and what it had not yet written is lost."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu = None
        if self._control is not None:
            self._control.close()
            self._control = None

    def reboot_after_crash(self) -> None:
        """Cut the power and boot again with the same disks."""
        self.crash()
        self.start()

    def save(self, path: Path) -> None:
        """Write the state of the whole machine, stopped from then on; its disks stay apart."""
        assert self._qemu is not None, "it is not started"
        self.succeed("sync")
        self._qemu.save(path)

    def restore(self, path: Path) -> None:
        """Start from a state that ``save`` of a machine of the same making wrote."""
        self.start(state=path)

    def _restored(self) -> None:
        assert self._qemu is not None
        self._qemu.resume()
        self.succeed(f"date -s @{int(time.time())}")
        self.release = self.succeed("uname -r").strip()
        self._devices = self._find_devices()

    def _find_devices(self) -> dict[str, str]:
        script = 'for d in /sys/block/vd*; do echo "/dev/${d##*/} $(cat $d/serial)"; done'
        lines = self.succeed(script).splitlines()
        return {name: device for device, _, name in (line.partition(" ") for line in lines)}

    def _check(self) -> None:
        """Raise if the guest can answer no more."""
        if _PANIC.decode() in self.console():
            raise ConnectionError("the kernel panicked")
        if self._qemu is None or self._qemu.has_ended():
            raise ConnectionError("QEMU ended")

    def _guarded(self, job: Callable[[Control], _Result]) -> _Result:
        """Do ``job`` on the channel; what goes wrong there is told with the console's end."""
        assert self._control is not None, "it is not started"
        try:
            return job(self._control)
        except (OSError, TimeoutError) as error:
            raise self._error(str(error), None) from error

    def _error(self, what: str, answer: Answer | None) -> MachineError:
        tail = "\n".join(self.console().splitlines()[-_TAIL_LINES:])
        said = f"\nstatus {answer.status}\n{answer.stdout}\n{answer.stderr}" if answer else ""
        return MachineError(f"{self._kernel.name}: {what}{said}\n--- console\n{tail}")


def _as_user(user: str, command: str) -> str:
    home = "/root" if user == "root" else f"/home/{user}"
    environment = f"HOME={home} USER={user} LANG=C.UTF-8 PATH={_PATH}"
    switch = f"setpriv --reuid={user} --regid={user} --init-groups"
    return f"cd {home} && {switch} env -i {environment} /bin/sh -c {shlex.quote(command)}"


def _whole_sectors(file: Path, copy: Path) -> Path:
    """Return ``file``, or a copy filled up to whole sectors: QEMU would leave the rest out."""
    missing = -file.stat().st_size % _SECTOR_BYTES
    if not missing:
        return file
    shutil.copyfile(file, copy)
    with copy.open("ab") as content:
        content.write(bytes(missing))
    return copy
