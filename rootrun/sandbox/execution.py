"""Becoming the script: the last steps of a process inside the container before execve(2)."""

import errno
import os
import resource
import signal

from rootrun.annotation import NoReturn
from rootrun.errors import (
    CommandNotExecutableError,
    CommandNotFoundError,
    RootrunError,
    SandboxError,
)
from rootrun.sandbox import syscalls
from rootrun.sandbox.accounts import ROOT, Identity, resolve_user
from rootrun.sandbox.beneath import open_in_root
from rootrun.sandbox.channel import InnerChannel
from rootrun.sandbox.emulation import emulate
from rootrun.sandbox.mounts import script_path
from rootrun.sandbox.spec import CommandStep, ContainerSpec, Emulator, ScriptStep
from rootrun.sandbox.wire import send

SHELL = "/bin/sh"

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ELF_MAGIC = b"\x7fELF"
_LONGEST_SHEBANG = 256  # bytes the kernel reads (execve(2))
_DEEPEST_SHEBANG = 6  # files, of which each is the next one's interpreter
_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_NO_SHELL_HINT = (
    "bring a static shell along with --bind or --copy, or name an interpreter that the image has "
    "in the first line of the script"
)


def execute_step(spec: ContainerSpec, index: int, channel: InnerChannel) -> NoReturn:
    """Turn this process, a child of the container's init, into the step; raise why it cannot be.

    It is the leader of a session, without a terminal or with its own.
    """
    _change_directory(spec.working_directory)
    identity = resolve_user(spec.user)
    environment = {os.fsencode(k): os.fsencode(v) for k, v in spec.environment.items()}
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if spec.emulator is not None and spec.emulator.emulates_ids:
        _become_emulated(spec, identity, channel)
    else:
        _become(identity, can_set_groups=spec.id_map.can_set_groups)
        # A step that runs as another user is no root, and nothing makes it look like one.
        if spec.emulator is not None and os.geteuid() == 0:
            _start_emulation(spec.emulator, channel)
    step = spec.steps[index]
    if spec.limits.nofile is not None:  # last: few would do for what comes before
        resource.setrlimit(resource.RLIMIT_NOFILE, (spec.limits.nofile, spec.limits.nofile))
    if isinstance(step, ScriptStep):
        where = "in the image" if spec.host_tree is None else "on this machine"
        _execute_script(step, script_path(index), environment, where=where)
    _execute_command(step, environment)


def _change_directory(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:
        raise SandboxError(f"working directory: {path}: {error.strerror}") from error
    # One that names a descriptor of ours could lead out of the root (CVE-2024-21626 in runc).
    if not os.getcwd().startswith("/"):
        raise SandboxError(f"working directory: {path}: is outside of the image")


def _become(identity: Identity, *, can_set_groups: bool) -> None:
    try:
        _set_groups(identity.groups, can_set_groups=can_set_groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except OSError as error:
        raise RootrunError(
            f"run as {identity.uid}:{identity.gid}: {error.strerror}",
            hint="the id map in use has no such id; rootrun doctor says how to get more",
        ) from error


def _set_groups(groups: tuple[int, ...], *, can_set_groups: bool) -> None:
    try:
        os.setgroups(groups)
    except PermissionError:
        if can_set_groups:
            raise  # else the id map denies it, and the kernel was asked itself


def _become_emulated(spec: ContainerSpec, identity: Identity, channel: InnerChannel) -> None:
    """Start the emulation first: it answers what the id map makes impossible."""
    assert spec.emulator is not None
    _start_emulation(spec.emulator, channel)
    # The main process reads the groups, and the path of what is executed, from our memory. No
    # process of the container is there yet that could do so, too.
    syscalls.allow_inspection()
    if identity != ROOT:
        _become(identity, can_set_groups=spec.id_map.can_set_groups)


def _start_emulation(emulator: Emulator, channel: InnerChannel) -> None:
    warning = emulate(emulator, channel.handover)
    if warning:
        send(channel.status, "warning", warning)


def _execute_script(
    step: ScriptStep, path: str, environment: dict[bytes, bytes], *, where: str
) -> NoReturn:
    if step.content.startswith((b"#!", _ELF_MAGIC)):
        argv, interpreter = [path], _shebang(step.content)
    else:
        argv, interpreter = [SHELL, "-e", path], SHELL
    try:
        _refuse_own_program(argv[0])
        os.execve(argv[0], argv, environment)
    except OSError as error:
        raise _script_error(step, interpreter, error, where) from error


def _refuse_own_program(path: str) -> None:
    """Raise EACCES if ``path``, or an interpreter that it names, is reached by a link of /proc.

    Until execve(2), /proc/self/exe is the Python of the host, and its loader would be one of the
    image, which could keep it open to write to it later (CVE-2019-5736 in runc). Nobody is there
    yet to change what is looked at.
    """
    root_fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
    for _ in range(_DEEPEST_SHEBANG):
        whole = os.path.join(os.getcwd(), path)
        try:
            at = open_in_root(root_fd, os.fsencode(whole), follow=True)
        except OSError as error:
            # ENOSYS: before Linux 5.6; the file is busy there as long as any of us runs.
            if error.errno == errno.ELOOP and os.path.exists(whole):
                raise PermissionError(errno.EACCES, "is reached by a link of /proc", path) from None
            break  # whatever it is, execve(2) tells
        content = _beginning(f"/proc/self/fd/{at}")
        os.close(at)
        path = _shebang(content) or ""
        if not path:
            break
    os.close(root_fd)


def _beginning(path: str) -> bytes:
    # Without stat(2), which open() asks, too: it may be answered by the emulation already, which
    # cannot look into this process.
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # it may be a fifo
        try:
            return os.read(fd, _LONGEST_SHEBANG)
        finally:
            os.close(fd)
    except OSError:
        return b""


def _script_error(
    step: ScriptStep, interpreter: str | None, error: OSError, where: str
) -> RootrunError:
    if interpreter is None:
        return CommandNotExecutableError(f"run {step.name}: {error.strerror}")
    what = f"run {step.name}: {interpreter if interpreter.isprintable() else repr(interpreter)}"
    if error.errno not in _MISSING:
        return CommandNotExecutableError(f"{what}: {error.strerror}")
    if os.path.exists(interpreter):
        missing = _interpreter_of(interpreter) or "its own interpreter"
        return CommandNotFoundError(f"{what}: needs {missing}, which is not {where}")
    if interpreter.endswith("\r"):
        hint = "the first line of the script ends as lines do in Windows (CR LF)"
    else:
        hint = _NO_SHELL_HINT
    return CommandNotFoundError(f"{what}: not found {where}", hint=hint)


def _execute_command(step: CommandStep, environment: dict[bytes, bytes]) -> NoReturn:
    failure: OSError | None = None
    for path in _candidates(step.name, environment):
        try:
            _refuse_own_program(path)
            os.execve(path, step.argv, environment)
        except OSError as error:
            if error.errno in _MISSING and not os.path.exists(path):
                continue
            failure = failure or OSError(error.errno, error.strerror, path)
    if failure is None:
        raise CommandNotFoundError(f"run {step.name}: not found in the image")
    raise _command_error(step, failure) from failure


def _command_error(step: CommandStep, error: OSError) -> RootrunError:
    path = os.fsdecode(error.filename)
    if error.errno not in _MISSING:
        return CommandNotExecutableError(f"run {step.name}: {path}: {error.strerror}")
    missing = _interpreter_of(path) or "its interpreter"
    return CommandNotFoundError(
        f"run {step.name}: {path}: needs {missing}, which is not in the image"
    )


def _candidates(name: str, environment: dict[bytes, bytes]) -> list[str]:
    if "/" in name:
        return [name]
    path = os.fsdecode(environment.get(b"PATH", _DEFAULT_PATH.encode()))
    return [os.path.join(directory or ".", name) for directory in path.split(":")]


def _interpreter_of(path: str) -> str | None:
    content = _beginning(path)
    return (_shebang(content) or "a loader") if content else None


def _shebang(content: bytes) -> str | None:
    if not content.startswith(b"#!"):
        return None
    # Only blanks and tabs separate words: a CR is a part of the name, for the kernel.
    line = content[2:_LONGEST_SHEBANG].partition(b"\n")[0].replace(b"\t", b" ").strip(b" ")
    return os.fsdecode(line.partition(b" ")[0])
