"""What a keeper tells of the files of its machine, and makes of them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from rootrun.annotation import TYPE_CHECKING
from rootrun.dataclass import replace
from rootrun.errors import LayerError, told_as
from rootrun.image.edits import ConfigEdits
from rootrun.image.reference import OutputReference, Transport
from rootrun.layer.compare import DiffNotes
from rootrun.layer.diff import Change
from rootrun.layer.entry import EntryPath, EntryType
from rootrun.layer.pack import pack_layer
from rootrun.layer.policy import LayerPolicy, OwnerRule
from rootrun.layer.whiteout import parse_marker
from rootrun.namedtuple import NamedTuple
from rootrun.request import Request
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import send
from rootrun.testing.asking import answer_with_content
from rootrun.testing.changes import ADDED, CHANGED, DELETED, type_word
from rootrun.testing.task_names import COMMIT, DIFF, SAVE
from rootrun.testing.work import Release, Work

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

_AS_IT_IS = LayerPolicy(owner=OwnerRule.KEEP, keeps_mtimes=True)


def answer(keeper: "Keeper", question: Question) -> None:
    """Do what is asked for while all processes of the machine stand still."""
    does = {DIFF: _diff, COMMIT: _commit, SAVE: _save}[question.task]
    Work(keeper, question, partial(does, keeper)).begin_at_rest()


def _changes(keeper: "Keeper", policy: LayerPolicy, notes: DiffNotes) -> Iterable[Change]:
    rootfs, emulated, _ = keeper.root
    return rootfs.changes(policy, notes, ownership=emulated.ownership)


def _diff(keeper: "Keeper", question: Question, _release: Release) -> None:
    """Tell all changes, by the names of the fields of ``testing.changes.Change``."""
    stack, notes = keeper.ground.base.stack, DiffNotes()
    told: list[dict[str, object]] = []
    with told_as(LayerError, "look for changes", keeper.scratch):
        for entry, _, _, is_ancestor in _changes(keeper, keeper.ground.request.policy, notes):
            if is_ancestor:
                continue
            marker = parse_marker(entry.path)
            if marker is not None:
                told.append({"path": f"/{marker.path}", "kind": DELETED})
                continue
            is_new = stack.find(entry.path) is None
            told.append(
                {
                    "path": f"/{entry.path}",
                    "kind": ADDED if is_new else CHANGED,
                    "type": type_word(entry.type),
                    "mode": entry.mode,
                    "uid": entry.uid,
                    "gid": entry.gid,
                    "size_bytes": entry.size_bytes,
                    "link_target": entry.link_target,
                }
            )
    answer_with_content(question.answer, told)


def _commit(keeper: "Keeper", question: Question, release: Release) -> None:
    """Write the image; the machine goes on as soon as its change is packed."""
    from rootrun.testing.commit_task import commit

    policy = _policy_of(question)
    request = _request_of(keeper.ground.request, question, policy)
    result = commit(keeper, request, partial(_changes, keeper, policy), packed=release)
    layer = result.layers[-1]
    answer_with_content(
        question.answer,
        {
            "image_id": result.image_id,
            "name": result.name,
            "tag": result.tag,
            "diff_id": layer.diff_id,
            "size_bytes": layer.size_bytes,
            "entry_count": layer.entry_count,
            "losses": list(layer.losses),
        },
    )


def _policy_of(question: Question) -> LayerPolicy:
    mtime_s = question.number("mtime_s")
    uid, colon, gid = question.text("owner").partition(":")
    if not colon:
        return LayerPolicy(mtime_s=mtime_s, owner=OwnerRule(uid))
    return LayerPolicy(mtime_s=mtime_s, owner=OwnerRule.FIXED, uid=int(uid), gid=int(gid))


def _request_of(request: Request, question: Question, policy: LayerPolicy) -> Request:
    from rootrun.image.compression import Compression

    values = question.values
    edits = values["edits"]
    assert isinstance(edits, dict)
    return replace(
        request,
        output=OutputReference(
            transport=Transport(question.text("transport")),
            path=Path(question.text("path")),
            ref=str(values["ref"]) if values["ref"] else None,
        ),
        name=question.text("name"),
        tag=str(values["tag"]) if values["tag"] else None,
        created=question.text("created"),
        compression=Compression(question.text("compression")),
        policy=policy,
        edits=ConfigEdits(**{name: _frozen(value) for name, value in edits.items()}),  # type: ignore[arg-type] # as they were
    )


def _frozen(value: object) -> object:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _save(keeper: "Keeper", question: Question, release: Release) -> None:
    """Write the change as a tar to the pipe that came along, for a fork of the machine."""
    [pipe] = question.descriptors
    notes = DiffNotes()
    # Who reads has ended, and has told why, or nobody wants to know.
    with suppress(BrokenPipeError), told_as(LayerError, "save the machine", keeper.scratch):
        changes = _with_hard_links(_changes(keeper, _AS_IT_IS, notes))
        pack_layer(changes, partial(_write_all, pipe), advance=lambda _: None, keeps_holes=True)
    os.close(pipe)
    release()
    send(question.answer, "done", *notes.lines())


def _write_all(fd: int, content: bytes | memoryview) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


class _File(NamedTuple):
    device: int
    inode: int


def _with_hard_links(changes: Iterable[Change]) -> Iterator[Change]:
    """Yield ``changes``, but of a file with several names only the first one as a file."""
    first: dict[_File, EntryPath] = {}
    for change in changes:
        entry = change.entry
        if entry.type is EntryType.FILE and change.name:
            status = os.lstat(change.name, dir_fd=change.directory_fd)
            if status.st_nlink > 1:
                target = first.setdefault(_File(status.st_dev, status.st_ino), entry.path)
                if target != entry.path:
                    link = replace(
                        entry, type=EntryType.HARDLINK, link_target=target, size_bytes=0, xattrs={}
                    )
                    yield change._replace(entry=link)
                    continue
        yield change
