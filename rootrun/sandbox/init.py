"""Pid 1 of a container: furnishes the rootfs, makes it the root, runs the steps, reaps.

It has no program of its own: it is a fork of the main process, and its memory, environment and
descriptors are closed to the container (non-dumpable, from outside of its user namespace). After
the root switch the standard library is gone, so that everything is imported by then.
"""

import errno
import os
import resource
import signal
from collections.abc import Callable, Mapping

from rootrun.errors import SandboxError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox import mount_api, network, syscalls
from rootrun.sandbox.channel import InnerChannel
from rootrun.sandbox.conditions import set_conditions
from rootrun.sandbox.denials import deny_calls
from rootrun.sandbox.execution import execute_step
from rootrun.sandbox.forking import FORWARDED_SIGNALS
from rootrun.sandbox.idmap import IdMapKind
from rootrun.sandbox.limits import Keeping
from rootrun.sandbox.mounts import MountPlan
from rootrun.sandbox.spec import ContainerSpec
from rootrun.sandbox.usage import UsageWatch
from rootrun.sandbox.wire import send, send_error

_AWAITED = {signal.SIGCHLD, *FORWARDED_SIGNALS}
_EXIT_STEP_NOT_STARTED = 127


class _Stage(NamedTuple):
    name: str
    run: Callable[[], None]


def run_init(spec: ContainerSpec, plan: MountPlan, channel: InnerChannel, keeping: Keeping) -> None:
    """Run the container to its end; the kernel then kills whatever is left in it.

    Runs in a child that ``fork_child`` made in the new namespaces. Failures go over the channel.
    """
    # The main process has a hold on us by now, or never will: PDEATHSIG is set.
    send(channel.status, "ready")
    channel.wait_for_go()
    os.umask(0o022)
    syscalls.hide_command_line("rootrun-init")
    for stage in _stages(spec, plan, channel, keeping):
        try:
            stage.run()
        except BaseException as error:
            send_error(channel.status, error, stage=stage.name)
            raise


def _stages(
    spec: ContainerSpec, plan: MountPlan, channel: InnerChannel, keeping: Keeping
) -> tuple[_Stage, ...]:
    return (
        _Stage("mount", lambda: _switch_root(spec, plan, channel)),
        _Stage("lock mounts", lambda: _go_down(spec, channel, keeping)),
        _Stage("set hostname", lambda: _set_hostname(spec, channel)),
        _Stage("set up network", lambda: _set_up_network(spec)),
        _Stage("restrict", lambda: _restrict(spec, channel)),
        _Stage("run", lambda: _run_steps(spec, channel, keeping)),
    )


def _switch_root(spec: ContainerSpec, plan: MountPlan, channel: InnerChannel) -> None:
    root_fd = _copy_root(spec)
    target_fd = os.open(spec.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount_api.attach(root_fd, target_fd)  # pivot_root(2) wants a mount of this namespace
    os.close(target_fd)
    for operation in plan:
        try:
            note = operation.execute(root_fd)
        except OSError as error:
            raise SandboxError(f"{operation.describe()}: {error.strerror}") from error
        if note:
            send(channel.status, "note", note)
    os.fchdir(root_fd)
    os.close(root_fd)
    _pivot()
    os.chdir("/")


def _copy_root(spec: ContainerSpec) -> int:
    """Return the descriptor of an unattached copy of what is to be the root."""
    if spec.host_tree is None:
        return mount_api.copy_tree(spec.root)
    root_fd = mount_api.copy_tree("/")
    try:
        mount_api.seal(root_fd)
    except OSError as error:
        raise SandboxError(f"make the host's root read-only: {error.strerror}") from error
    return root_fd


def _pivot() -> None:
    try:
        syscalls.pivot_root(".", ".")
    except OSError as error:
        # EINVAL: the root is the initial ramfs, which cannot be moved. Cover it instead.
        if error.errno != errno.EINVAL:
            raise
        syscalls.mount(".", "/", None, syscalls.MS_MOVE)
        os.chroot(".")
    else:
        syscalls.umount2(".", syscalls.MNT_DETACH)


def _go_down(spec: ContainerSpec, channel: InnerChannel, keeping: Keeping) -> None:
    """Go one user namespace down where our uid is that of the root outside, or to be counted.

    That root owns /proc/sys, /proc/sysrq-trigger and most of /sys, whatever its namespaces. These
    are read-only here, and mounts that come from a more privileged mount namespace can neither be
    removed nor made writable (mount_namespaces(7)). What the script may configure goes along.

    The kernel holds what runs in a namespace against the RLIMIT_NPROC with which it was made.
    """
    if spec.id_map.kind is not IdMapKind.ROOT and not keeping.is_counted_by_namespace:
        return
    keeping.limit_namespace()
    network = 0 if spec.has_host_network else syscalls.CLONE_NEWNET
    syscalls.unshare(
        syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS | network
    )
    syscalls.die_with_parent()
    # Else the files of the maps are not the caller's. Nobody is in here yet who could look at us.
    syscalls.allow_inspection()
    send(channel.status, "unmapped")
    channel.wait_for_go()
    syscalls.forbid_inspection()


def _set_hostname(spec: ContainerSpec, channel: InnerChannel) -> None:
    try:
        syscalls.set_hostname(spec.hostname)
    except PermissionError:  # by the seccomp filter of a container around us (podman)
        text = f"set hostname: {os.strerror(errno.EPERM)}: the script sees that of this machine"
        send(channel.status, "warning", text)


def _set_up_network(spec: ContainerSpec) -> None:
    if not spec.has_host_network:
        network.bring_loopback_up()


def _restrict(spec: ContainerSpec, channel: InnerChannel) -> None:
    """Restrict this process, and with it all of the container's."""
    if spec.has_no_new_privs:
        syscalls.forbid_new_privs()
    if spec.host_tree is not None:
        syscalls.keep_rights_over_files_only()
    warning = deny_calls(spec.denials)
    if warning and spec.host_tree is not None:
        raise SandboxError(f"{warning}: the host's processes would be in reach")
    if warning:
        send(channel.status, "warning", warning)


def _run_steps(spec: ContainerSpec, channel: InnerChannel, keeping: Keeping) -> None:
    _reset_ignored_signals()
    keeping.limit_children()
    if spec.serves:
        from rootrun.sandbox.serving import serve  # loaded before the root switch

        usage = UsageWatch(spec, keeping)
        serve(spec, channel, usage)
        _tell_end(channel, 0, 0, usage)
        return
    if spec.conditions is not None:
        set_conditions(spec.conditions, lambda text: send(channel.status, "note", text))
    usage = UsageWatch(spec, keeping)
    for index in range(len(spec.steps)):
        if index:
            _kill_leftovers()
        send(channel.status, "step", index)
        status = _run_step(spec, index, channel=channel, usage=usage)
        if status != 0 or index == len(spec.steps) - 1:
            _tell_end(channel, index, status, usage)
            return


def _tell_end(channel: InnerChannel, index: int, status: int, usage: UsageWatch) -> None:
    own = resource.getrusage(resource.RUSAGE_SELF)
    used = own.ru_utime + own.ru_stime, usage.peak_memory_bytes, usage.started_count()
    send(channel.status, "ended", index, status, *used)


def _reset_ignored_signals() -> None:
    # What the caller ignores (nohup(1)) would stay ignored in the script: execve(2) keeps it.
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    syscalls.reset_internal_signals()


def _run_step(spec: ContainerSpec, index: int, *, channel: InnerChannel, usage: UsageWatch) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()  # no controlling terminal, and a process group to send signals to
            execute_step(spec, index, channel)
        except BaseException as error:
            send_error(channel.status, error, stage=f"run {spec.steps[index].name}")
        finally:
            os._exit(_EXIT_STEP_NOT_STARTED)
    return _reap_until(pid, spec.steps[index].name, usage)


def _reap_until(step: int, name: str, usage: UsageWatch) -> int:
    """Return the exit code of the child ``step``, or -N for signal N; reap all that end before.

    Raises LimitError, about the step's ``name``, if the processes take more than they may.
    """
    while True:
        for pid, status in reap_ended().items():
            if pid == step:
                return status
        usage.look(name)
        received = signal.sigtimedwait(_AWAITED, usage.pause_s)
        # Sender 0 is outside of this pid namespace. The script's own signals to pid 1 are ignored.
        if received and received.si_signo in FORWARDED_SIGNALS and received.si_pid == 0:
            _signal_step(step, received.si_signo)


def reap_ended() -> Mapping[int, int]:
    """Reap all children that have ended; return their exit codes by pid, -N for signal N."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def _signal_step(step: int, number: int) -> None:
    try:
        os.killpg(step, number)
    except ProcessLookupError:
        os.kill(step, number)  # it has not made its process group yet


def _kill_leftovers() -> None:
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        return
    while True:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            return
        reap_ended()
