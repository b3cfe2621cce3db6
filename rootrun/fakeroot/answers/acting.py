"""Who a caller is when it makes a call that depends on that."""

from rootrun.fakeroot.caller import Caller
from rootrun.fakeroot.credentials import ROOT, Credentials
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.process_status import read_process_status


class Acting:
    """The present credentials of callers, and their change."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def other_than_root(self, caller: Caller) -> Credentials | None:
        """Return who the caller is; None if the kernel knows.

        It does of who never changed, and in a user namespace that the process made itself.
        """
        present = self._identities.of(caller.pid)
        return None if present is ROOT or not caller.is_in_container_userns() else present

    def noted(self, caller: Caller) -> Credentials | None:
        """Return who the caller is, without asking the kernel; None as for ``anybody``."""
        present = self._identities.of(caller.pid)
        return present if caller.is_in_container_userns() else None

    def anybody(self, caller: Caller) -> Credentials | None:
        """Return who the caller is, root too; None in a user namespace of its own."""
        present = self.noted(caller)
        if present is ROOT:  # and what it did to its capabilities, the kernel did
            status = read_process_status(caller.pid)
            present = ROOT._replace(
                permitted=status.permitted,
                effective=status.effective,
                inheritable=status.inheritable,
            )
        caller.check_alive()
        return present

    def become(self, caller: Caller, present: Credentials, new: Credentials) -> None:
        """Make the caller's process be ``new``."""
        if new != present:
            caller.check_alive()
            self._identities.become(caller.pid, new)
