"""QEMU as a child: its command line, its monitor, its end."""

import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TextIO

from vmtests.images import Kernel
from vmtests.place import needed_program

_ACCELERATION = os.environ.get("ROOTRUN_VM_ACCEL") or ""
_MONITOR_TIMEOUT_S = 120
_KILL_WAIT_S = 20
_TICK_S = 0.05


class Disk(NamedTuple):
    """A file of this host that is a disk of the guest, found there by its name."""

    path: Path
    is_read_only: bool = False
    cache: str = "unsafe"  # "writeback" where a flush has to mean something


def acceleration() -> str:
    """Return ``kvm`` or ``tcg``.

    That /dev/kvm opens is no proof: without vmx or svm it runs nothing but its own kind of guest.
    """
    if _ACCELERATION:
        return _ACCELERATION
    flags = Path("/proc/cpuinfo").read_text().split()
    can_virtualize = "vmx" in flags or "svm" in flags
    return "kvm" if can_virtualize and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def command_line(
    kernel: Kernel, disks: Mapping[str, Disk], *, directory: Path, memory_mib: int, append: str
) -> list[str]:
    """Return the command line of a guest whose sockets and console are in ``directory``."""
    # Without cx16: QEMU 7.2's emulation of cmpxchg16b spoils flags once in a while, and 6.12
    # panics. Not "-cpu max": programs then choose AVX, which is emulated slowly.
    has_kvm = acceleration() == "kvm"
    argv = [needed_program("qemu-system-x86_64", "qemu-system-x86")]
    argv += ["-accel", "kvm" if has_kvm else "tcg,thread=multi"]
    argv += ["-cpu", "host" if has_kvm else "qemu64,+rdrand,+rdseed,-cx16"]
    argv += ["-M", "pc,usb=off,vmport=off", "-smp", "1", "-m", str(memory_mib)]
    argv += ["-nodefaults", "-display", "none", "-no-reboot"]
    argv += ["-serial", f"file:{directory}/console"]
    argv += ["-device", "virtio-serial-pci"]
    argv += ["-chardev", f"socket,id=control,path={directory}/control,server=on,wait=off"]
    argv += ["-device", "virtserialport,chardev=control,name=control"]
    argv += ["-object", "rng-random,id=rng,filename=/dev/urandom"]
    argv += ["-device", "virtio-rng-pci,rng=rng"]
    argv += ["-qmp", f"unix:{directory}/monitor,server=on,wait=off"]
    for name, disk in disks.items():
        read_only = "on" if disk.is_read_only else "off"
        drive = f"if=none,id={name},format=raw,file={disk.path},readonly={read_only}"
        argv += ["-drive", f"{drive},cache={disk.cache}"]
        argv += ["-device", f"virtio-blk-pci,drive={name},serial={name}"]
    options = "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests"
    argv += ["-kernel", os.fspath(kernel.image), "-initrd", os.fspath(kernel.initrd)]
    return [*argv, "-append", f"{options} {append}".strip()]


class Qemu:
    """A running QEMU, which dies with this process."""

    def __init__(self, argv: Sequence[str], *, directory: Path) -> None:
        self._monitor_path = directory / "monitor"
        polite = [needed_program("nice", "coreutils"), "-n", "10"]
        tied = [needed_program("setpriv", "util-linux"), "--pdeathsig", "KILL"]
        self._said = (directory / "qemu").open("w+b")
        self._child = subprocess.Popen(
            [*polite, *tied, *argv],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
        )

    def has_ended(self) -> bool:
        """Say whether the guest is off, or QEMU gave up."""
        return self._child.poll() is not None

    def cpu_s(self) -> float:
        """Return the seconds of processor time that it has used."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def said(self) -> str:
        """Return what QEMU itself had to say."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace")

    def save(self, path: Path) -> None:
        """Stop the guest, and write its memory and devices to ``path``."""
        self._monitor("stop", {})
        self._monitor("migrate", {"uri": f"exec:cat > {shlex.quote(os.fspath(path))}"})
        deadline = time.monotonic() + _MONITOR_TIMEOUT_S
        while self._monitor("query-migrate", {}).get("status") != "completed":
            if time.monotonic() > deadline:
                raise TimeoutError(f"its state is not written within {_MONITOR_TIMEOUT_S} s")
            time.sleep(_TICK_S)

    def resume(self) -> None:
        """Let a guest go on whose state was read."""
        deadline = time.monotonic() + _MONITOR_TIMEOUT_S
        while self._monitor("query-status", {}).get("status") == "inmigrate":
            if time.monotonic() > deadline:
                raise TimeoutError("its state is not read")
            time.sleep(_TICK_S)
        self._monitor("cont", {})

    def _monitor(self, command: str, arguments: Mapping[str, str]) -> dict[str, object]:
        """Give ``command`` to the monitor (QMP) and return its answer."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(_MONITOR_TIMEOUT_S)
            monitor.connect(os.fspath(self._monitor_path))
            with monitor.makefile("rw") as stream:
                stream.readline()  # the greeting
                _ask(stream, "qmp_capabilities", {})
                return _ask(stream, command, arguments)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end, and say whether it came."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)
        return self.has_ended()

    def kill(self) -> None:
        """End it at once, as a power cut does, and collect it."""
        if not self.has_ended():
            self._child.send_signal(signal.SIGKILL)
            self._child.wait(_KILL_WAIT_S)
        self._said.close()


def _ask(stream: TextIO, command: str, arguments: Mapping[str, str]) -> dict[str, object]:
    stream.write(json.dumps({"execute": command, "arguments": dict(arguments)}) + "\n")
    stream.flush()
    for line in stream:  # events come between
        answer = json.loads(line)
        if "error" in answer:
            raise ConnectionError(f"{command}: {answer['error']}")
        if "return" in answer:
            return dict(answer["return"])
    raise ConnectionError(f"{command}: QEMU ended")


def connected(path: Path, qemu: Qemu, timeout_s: float) -> socket.socket:
    """Return a connection to ``path``, a socket that QEMU makes when it starts."""
    deadline = time.monotonic() + timeout_s
    connection = socket.socket(socket.AF_UNIX)
    while True:
        try:
            connection.connect(os.fspath(path))
            return connection
        except (FileNotFoundError, ConnectionRefusedError) as error:  # not bound, not listening
            if qemu.has_ended() or time.monotonic() > deadline:
                connection.close()
                raise TimeoutError(f"QEMU did not start: {qemu.said()}") from error
            time.sleep(_TICK_S)
