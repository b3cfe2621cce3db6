"""What a run's emulation consists of once there is a call to answer."""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial

from rootrun.fakeroot.answers import answers_of
from rootrun.fakeroot.dispatch import Dispatch
from rootrun.fakeroot.files import BaseRecord, Files
from rootrun.fakeroot.filters import FilterPlan
from rootrun.fakeroot.glance import glances
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.level import Level
from rootrun.fakeroot.ownership import FileKey, OwnershipMemory
from rootrun.fakeroot.supervisor import Answer
from rootrun.fakeroot.upper import UpperTree
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import DEVICE_TYPES, SET_ID_BITS, EntryPath, EntryType
from rootrun.layer.metadata import CAPABILITY
from rootrun.layer.stack import LayerStack
from rootrun.rootfs.backend import Rootfs


@contextmanager
def answering(
    plan: FilterPlan,
    *,
    rootfs: Rootfs,
    stack: LayerStack,
    recorded: Iterable[EntryPath],
    gains_nothing: bool,
) -> Iterator[tuple[Answer, OwnershipMemory, Identities | None]]:
    """Yield what answers the calls of a run in ``rootfs``, that of ``stack``, and its memories.

    ``recorded`` are the paths of the base of which the disk does not say what the image does.
    ``gains_nothing``: set-id programs are as others.
    """
    tree = UpperTree(root=rootfs.root, upper=rootfs.upper)
    try:
        memory = OwnershipMemory(tree.living, plan.stand_ins)
        base = partial(_base_record, stack, is_restricted=plan.is_restricted)
        # What the disk lacks of privileges goes when a file is written to: only the diff sees that.
        is_by_file = not plan.is_restricted and _remember_base(
            memory, rootfs, base, recorded, is_lone=plan.is_lone
        )
        files = Files(
            tree,
            memory,
            base=base,
            recorded=() if plan.is_lone and is_by_file else recorded,
            stand_ins=plan.stand_ins,
            hides_set_ids=plan.is_restricted,
        )
        for path in recorded if is_by_file else ():
            files.names.add(os.fsencode(path.rpartition("/")[2]))
        sees_roots = plan.is_lone and plan.level is Level.FULL
        identities = Identities() if plan.is_lone else None
        answers = answers_of(files, plan, identities, gains_nothing=gains_nothing)
        with closing(Dispatch(answers, glances(files.names), sees_roots=sees_roots)) as dispatch:
            yield dispatch.answer, memory, identities
    finally:
        tree.close()


def _remember_base(
    memory: OwnershipMemory,
    rootfs: Rootfs,
    base: BaseRecord,
    recorded: Iterable[EntryPath],
    *,
    is_lone: bool,
) -> bool:
    """Remember what the base has at ``recorded``, if ``rootfs`` holds its files; say whether.

    There a directory can be renamed, and what is in it goes by another name then. Unless
    ``is_lone``, the disk has the owners, and devices are all that it has not.
    """
    files = rootfs.base_files(recorded)
    if files is None:
        return False
    for path, inode, birth_ns in files:
        remembered = base(path)
        if remembered is not None and not is_lone:
            remembered = Remembered(device=remembered.device, rdev=remembered.rdev)
        if remembered is not None:
            key = FileKey(inode, birth_ns)
            memory.remember(key, remembered, seen_as=key)
    return True


def _base_record(stack: LayerStack, path: EntryPath, *, is_restricted: bool) -> Remembered | None:
    found = stack.find(path)
    if found is None:
        return None
    entry = found.entry
    device = entry.type if entry.type in DEVICE_TYPES else None
    if not is_restricted:
        return Remembered(entry.uid, entry.gid, device, entry.rdev)
    set_ids, xattrs = entry.mode & SET_ID_BITS, entry.xattrs
    is_file = entry.type is EntryType.FILE
    size_bytes = entry.size_bytes if is_file and (set_ids or CAPABILITY in xattrs) else None
    return Remembered(entry.uid, entry.gid, device, entry.rdev, set_ids, xattrs, size_bytes)
