"""The monitor: between the main process and the container's init, in neither's way.

It exists because unshare(CLONE_NEWPID) counts for all later children of a process: the main process
has others. It holds the namespaces until init is reaped, and with init everything in them.
"""

import errno
import os
import resource
import signal

from rootrun.sandbox import syscalls
from rootrun.sandbox.channel import InnerChannel
from rootrun.sandbox.forking import FORWARDED_SIGNALS, fork_child
from rootrun.sandbox.init import run_init
from rootrun.sandbox.limits import Keeping
from rootrun.sandbox.mounts import MountPlan
from rootrun.sandbox.refusal import namespace_error
from rootrun.sandbox.spec import ContainerSpec
from rootrun.sandbox.wire import send, send_error

_NAMESPACES = (
    syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWCGROUP
    | syscalls.CLONE_NEWNS
)
_LIMITS = {
    syscalls.CLONE_NEWPID: "max_pid_namespaces",
    syscalls.CLONE_NEWIPC: "max_ipc_namespaces",
    syscalls.CLONE_NEWUTS: "max_uts_namespaces",
    syscalls.CLONE_NEWCGROUP: "max_cgroup_namespaces",
    syscalls.CLONE_NEWNS: "max_mnt_namespaces",
    syscalls.CLONE_NEWNET: "max_net_namespaces",
}


def run_monitor(
    spec: ContainerSpec, plan: MountPlan, outer_channel: InnerChannel, keeping: Keeping
) -> None:
    """Make the namespaces, start init, pass signals on to it and wait for its end.

    Runs in a child that ``fork_child`` made. Failures go over the channel.
    """
    channel = outer_channel
    try:
        channel = outer_channel.keep_only_this()
        _leave_caller_behind()
        if keeping.cgroup is not None:
            keeping.cgroup.join()  # first: the container is to see it as the root of all groups
        _unshare(_NAMESPACES | (0 if spec.has_host_network else syscalls.CLONE_NEWNET))
        init = fork_child(lambda: run_init(spec, plan, channel, keeping))
        send(channel.status, "init", init)
        _watch(init, channel)
    except BaseException as error:
        send_error(channel.status, error, stage="create container")
        raise


def _unshare(flags: int) -> None:
    try:
        syscalls.unshare(flags)
    except OSError as error:
        limit = _reached_limit(flags) if error.errno == errno.ENOSPC else None
        raise namespace_error(error, step="create namespaces", limit=limit) from error


def _reached_limit(flags: int) -> str | None:
    """Return the setting that lets no more namespaces of some kind in ``flags`` be made.

    It is that of a user namespace above ours: /proc/sys/user shows only our own (namespaces(7)).
    """
    for flag, limit in _LIMITS.items():
        try:
            syscalls.unshare(flag & flags)
        except OSError:
            return limit
    return None


def _leave_caller_behind() -> None:
    os.setsid()
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(2, 1)  # stdout is for the image id, or the image
    for fd in range(3):
        os.set_inheritable(fd, True)  # if the caller's were closed, they are others of ours
    if null > 2:
        os.close(null)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    syscalls.join_new_session_keyring()


def _watch(init: int, channel: InnerChannel) -> None:
    awaited = {signal.SIGCHLD, *FORWARDED_SIGNALS}
    while True:
        number = signal.sigwaitinfo(awaited).si_signo
        if number != signal.SIGCHLD:
            os.kill(init, number)
            continue
        # With what init waited for, and with what the kernel killed and reaped for it at its end.
        pid, status, used = os.wait4(init, os.WNOHANG)
        if pid == init:
            code, cpu_s = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
            send(channel.status, "init-ended", code, cpu_s, used.ru_maxrss)
            return
