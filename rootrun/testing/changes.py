"""What changed in a machine since it was made, as values."""

from rootrun.layer.entry import EntryType
from rootrun.namedtuple import NamedTuple
from rootrun.testing.asking import content_of
from rootrun.testing.link import MachineLink
from rootrun.testing.task_names import DIFF

ADDED, CHANGED, DELETED = "added", "changed", "deleted"

_WORDS = {
    EntryType.FILE: "file",
    EntryType.SYMLINK: "symlink",
    EntryType.CHARACTER_DEVICE: "character device",
    EntryType.BLOCK_DEVICE: "block device",
    EntryType.DIRECTORY: "directory",
    EntryType.FIFO: "fifo",
}


class Change(NamedTuple):
    """A path that is not as at the start. Of one that was deleted, the rest says nothing."""

    path: str  # absolute, decoded as the file system encoding does
    kind: str  # added, changed, deleted
    type: str = ""  # file, directory, symlink, fifo, character device, block device
    mode: int = 0  # permissions, with setuid, setgid and sticky
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0  # of a file
    link_target: str = ""  # of a symlink


def type_word(kind: EntryType) -> str:
    """Return the word for ``kind`` in a ``Change``."""
    return _WORDS[kind]


def changes_of(link: MachineLink, *, deadline_s: float) -> list[Change]:
    """Return what changed, in the order of a layer: depth first, by bytes of the names."""
    answer = link.ask(DIFF, deadline_s=deadline_s, what=f"{link.name}: look for changes")
    told = content_of(answer)
    assert isinstance(told, list)
    return [Change(**fields) for fields in told]
