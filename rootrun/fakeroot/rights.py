"""What a caller may, where the kernel takes all of them for the same user."""

from rootrun.fakeroot.answers.chown import Owner
from rootrun.fakeroot.caller import Caller
from rootrun.fakeroot.credentials import CAP_CHOWN, CAP_MKNOD, Credentials, Ids
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.process_status import read_process_status


class Rights:
    """The rights of callers: by ``identities``, or by the kernel's own word where it has the ids.

    None as an answer says that the kernel is to refuse or allow the call itself.
    """

    def __init__(self, files: Files, identities: Identities | None) -> None:
        self._files = files
        self._identities = identities

    def credentials(self, caller: Caller) -> Credentials:
        """Return who the caller is."""
        return _in_kernel(caller) if self._identities is None else self._identities.of(caller.pid)

    def may_chown(self, caller: Caller, fd: int, owner: Owner) -> bool | None:
        """Say whether the caller may give an open file to ``owner`` (chown(2))."""
        if self._identities is None:
            if caller.is_root():
                return True
            if not caller.is_in_container_userns():  # there ids are others
                return None
        credentials = self.credentials(caller)
        if credentials.has(CAP_CHOWN):
            return True
        known = self._files.known(fd)
        groups = (known.gid, credentials.gids.file_system, *credentials.groups)
        return (
            known.uid == credentials.uids.file_system
            and owner.uid in (None, known.uid)
            and (owner.gid is None or owner.gid in groups)
        )

    def may_let_chown_through(self, caller: Caller) -> bool:
        """Say whether the kernel has the same word as ``may_chown``."""
        return self._identities is None or self._identities.of(caller.pid).has(CAP_CHOWN)

    def may_make_devices(self, caller: Caller) -> bool | None:
        """Say whether the caller may make a device (mknod(2))."""
        if self._identities is None:
            return True if caller.is_root() else None
        return self._identities.of(caller.pid).has(CAP_MKNOD)


def _in_kernel(caller: Caller) -> Credentials:
    """Return who the caller is to the kernel, with capabilities over the container's files only."""
    status = read_process_status(caller.pid)
    plain = Credentials(Ids(*status.uids), Ids(*status.gids), status.groups, 0, 0, 0)
    if not caller.is_in_container_userns():
        return plain
    return plain._replace(
        permitted=status.permitted, effective=status.effective, inheritable=status.inheritable
    )
