"""Each system call that rootrun depends on fails once: at its first, second, ... n-th time.

strace(1) counts the calls of a plain run, then has them fail one by one, in every process that
makes as many. A run ends as usual where there is another way, or with one line and nothing left.
"""

import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.torture.ground import HANGS_AFTER_S, Ground

_NAMESPACE = ("EPERM", "ENOSPC")
_MOUNT = ("EPERM", "ENOMEM")
_WRITE = ("ENOSPC", "EDQUOT", "EIO", "EFBIG")
_NAME = ("EIO", "EROFS", "EACCES")
_RESOURCE = ("EMFILE", "ENOMEM")

PHASES: dict[str, dict[str, tuple[str, ...]]] = {
    "namespaces": {
        **dict.fromkeys(("unshare", "setns", "clone", "prctl"), _NAMESPACE),
        **dict.fromkeys(("sethostname", "setsid", "keyctl", "seccomp"), _NAMESPACE),
    },
    "mounts": dict.fromkeys(
        ("mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount", "move_mount",
         "open_tree", "mount_setattr", "statfs"),
        _MOUNT,
    ),
    "writes": dict.fromkeys(
        ("write", "pwrite64", "fsync", "copy_file_range", "ftruncate", "fallocate", "read",
         "pread64", "preadv2"),
        _WRITE,
    ),
    "names": dict.fromkeys(
        ("mkdir", "mkdirat", "mknodat", "link", "linkat", "symlink", "symlinkat", "rename",
         "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat",
         "chown", "fchown", "lchown", "fchownat", "utimensat", "fsetxattr", "setxattr",
         "lsetxattr", "flock", "getdents64"),
        _NAME,
    ),
    "resources": dict.fromkeys(
        ("openat", "openat2", "pipe2", "dup", "dup3", "fcntl", "socket", "socketpair",
         "pidfd_open", "poll", "mmap"),
        _RESOURCE,
    ),
}  # fmt: skip
"""The calls of each phase, and how they fail."""

_CALL = re.compile(r"^(\d+) +(\w+)\((.*)", re.MULTILINE)
# What the interpreter opens and reads: where that fails none of our code is there to tell it.
_OF_THE_INTERPRETER = re.compile(r"\.so\b|\.pyc?\b|/lib[/>]|/bin/rootrun|\.cfg\b")
_OUR_FIRST_FILE = "base.tar"
_SCRIPT = "/bin/mkdir"
_SCRIPT_FAILED = "rootrun: error: run script: mkdir: ended with status "


class Fault(NamedTuple):
    """The ``number``-th call of ``call`` by a process fails with ``error``."""

    phase: str
    call: str
    number: int
    error: str

    def __str__(self) -> str:
        return f"{self.call} {self.number}: {self.error}"


def faults_of(ground: Ground, *, seed: int, count: int | None) -> list[Fault]:
    """Return all faults that a cold run can meet, or ``count`` of them, chosen by ``seed``."""
    chooser = random.Random(seed)
    calls = _calls_of_plain_run(ground)
    faults = [
        Fault(phase, call, number, chooser.choice(errors))
        for phase, ways in PHASES.items()
        for call, errors in ways.items()
        for number in calls.get(call, ())
    ]
    return faults if count is None else chooser.sample(faults, min(count, len(faults)))


def wrongs_of_faults(ground: Ground, faults: Iterable[Fault]) -> Iterator[list[str]]:
    """Have each fault happen in a run with a cold cache; yield what is wrong after each."""
    for fault in faults:
        ground.make_cold()
        wrongs = [*_wrongs_of(ground, fault), *ground.wrongs_of_next_run()]
        yield [f"{fault}: {wrong}" for wrong in wrongs]


def _wrongs_of(ground: Ground, fault: Fault) -> list[str]:
    inject = f"inject={fault.call}:error={fault.error}:when={fault.number}"
    traced = f"trace=execve,{fault.call}"
    status, errors, log = _traced(ground, "-e", traced, "-e", inject)
    if status is None:
        return ["it hangs"]
    # The script fails as it wants: where it was hit, or one that answers its calls.
    others = (status,) if _hits_script(log) or _SCRIPT_FAILED in errors else ()
    return [*ground.wrongs_of_end(status, errors, others=others), *ground.wrongs_left()]


def _hits_script(log: str) -> bool:
    """Say whether a call of the script itself failed, which ends as it wants."""
    scripts = set[str]()
    for pid, call, rest in _CALL.findall(log):
        if call == "execve" and _SCRIPT in rest:
            scripts.add(pid)
        if "(INJECTED)" in rest and pid in scripts:
            return True
    return False


def _traced(ground: Ground, *options: str) -> tuple[int | None, str, str]:
    """Return status (None: it hangs), messages and log of a run below strace(1)."""
    log = ground.cache.with_name("scratch") / "strace.log"
    # -u: traced by root, a set-id program (newuidmap) keeps its rights.
    prefix = ("strace", "-f", "-qq", "-y", "-u", ground.account.name, "-o", str(log))
    with ground.start(*prefix, *options) as process:
        try:
            _, errors = process.communicate(timeout=HANGS_AFTER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return None, "", ""
    told = log.read_text(errors="replace")
    log.unlink()
    return process.returncode, errors.decode(), told


def _calls_of_plain_run(ground: Ground) -> dict[str, list[int]]:
    """Return at which numbers each call is ours to fail, in some process and in none's start."""
    names = ",".join(f"?{call}" for ways in PHASES.values() for call in ways)
    ground.make_cold()
    status, errors, log = _traced(ground, "-e", f"trace=execve,{names}")
    assert status == 0, errors
    ground.output.unlink()
    counts: Counter[tuple[str, str]] = Counter()
    ours: dict[str, set[int]] = {}
    others: dict[str, set[int]] = {}
    main, is_started = log.split(maxsplit=1)[0], False
    for pid, call, rest in _CALL.findall(log):
        counts[pid, call] += 1
        is_started = is_started or (call == "openat" and _OUR_FIRST_FILE in rest)
        starts = pid == main and not is_started
        kind = others if starts or _OF_THE_INTERPRETER.search(rest) else ours
        kind.setdefault(call, set()).add(counts[pid, call])
    return {call: sorted(ours[call] - others.get(call, set())) for call in ours}
