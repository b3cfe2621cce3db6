"""The emulator of a container: answers its calls, and remembers what the kernel cannot do."""

import errno

from rootrun.fakeroot.caller import Caller
from rootrun.fakeroot.calls import STAT, name_of
from rootrun.fakeroot.calls_chown import answer_chown
from rootrun.fakeroot.calls_mknod import answer_mknod
from rootrun.fakeroot.calls_stat import answer_stat
from rootrun.fakeroot.filters import filter_program
from rootrun.fakeroot.level import Level
from rootrun.fakeroot.owners import Owners
from rootrun.fakeroot.ownership import OwnershipMemory
from rootrun.fakeroot.upper import UpperTree
from rootrun.sandbox.notify import Listener, Notification

_STAT_NAMES = {name for numbers in STAT.values() for name in numbers}


class Supervisor:
    """A ``rootrun.sandbox.spec.Emulator``. It keeps no descriptor of the caller's.

    ``is_lone`` says that there is one id, so that no caller has fewer rights than another.
    """

    def __init__(
        self,
        level: Level,
        *,
        tree: UpperTree,
        memory: OwnershipMemory,
        owners: Owners,
        is_lone: bool,
    ) -> None:
        self.program = filter_program(level)
        self.fallback_program = filter_program(Level.FAST)
        self.wants_listener = level.remembers
        self._is_lone = is_lone
        self._tree = tree
        self._memory = memory
        self._owners = owners

    def serve(self, listener: Listener) -> None:
        """Answer one call. Nothing that a hostile caller passes raises."""
        notification = listener.receive()
        if notification is None:
            return
        name = name_of(notification.arch, notification.number)
        if name is None:
            listener.let_through(notification)
            return
        try:
            is_done = self._do(Caller(listener, notification), notification, name)
        except OSError as error:
            listener.answer(notification, error=error.errno or errno.EIO)
        except ValueError:  # no path of Python's: none that could be there
            listener.answer(notification, error=errno.EINVAL)
        else:
            if is_done:
                listener.answer(notification)
            else:
                listener.let_through(notification)

    def _do(self, caller: Caller, notification: Notification, name: str) -> bool:
        """Return False for what the kernel is to answer."""
        if not self._is_lone and name not in _STAT_NAMES and not caller.is_root():
            return False  # it may not what we may; the kernel refuses it
        if "chown" in name:
            answer_chown(caller, notification, name, tree=self._tree, memory=self._memory)
            return True
        if "mknod" in name:
            return answer_mknod(caller, notification, name, tree=self._tree, memory=self._memory)
        try:
            return answer_stat(caller, notification, name, owners=self._owners)
        except OSError:
            return False  # the kernel finds the same, and its own words for it
