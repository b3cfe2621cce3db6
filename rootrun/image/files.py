"""The named files of an image: of a directory, or the members of a tar."""

import os
import posixpath
from pathlib import Path

from rootrun.annotation import Protocol
from rootrun.errors import ImageError, LayerError
from rootrun.image.blob import Blob, file_blob, open_regular
from rootrun.layer.tar_index import TarMember, index_tar

_FILE = b"0"
_HARDLINK = b"1"
_SYMLINK = b"2"
_DIRECTORY = b"5"


class Files(Protocol):
    """Files by name; ``path`` is what the user called the whole."""

    @property
    def path(self) -> Path: ...

    def find(self, name: str) -> Blob | None:
        """Return the file ``name``, None if there is none."""


class DirectoryFiles:
    """The files below a directory. Names come from manifests and never leave it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, name: str) -> Blob | None:
        """Return the file ``name``; raises ImageError if it is there and no regular file."""
        if name.startswith("/") or ".." in name.split("/"):
            return None
        path = self.path / name
        return file_blob(path) if os.path.lexists(path) else None


class TarFiles:
    """The members of an uncompressed tar; of two with one name the later one counts."""

    def __init__(self, path: Path, *, called: Path) -> None:
        self.path = called
        self._tar = path
        self._members = {member.name: member for member in _index(path, called=called)}

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def find(self, name: str) -> Blob | None:
        """Return the member ``name``, through one link at most.

        Links lead to members only: what they name on this host is never looked at.
        """
        member = self._members.get(posixpath.normpath(name))
        if member is not None and member.type_flag in (_SYMLINK, _HARDLINK):
            member = self._members.get(_target(member))
        if member is None or member.type_flag == _DIRECTORY:
            return None
        if member.type_flag != _FILE:
            raise ImageError(f"read image: {self.path}: member {name!r:.200}: not a regular file")
        return Blob(self._tar, member.offset, member.size_bytes, whole_file=False)


def require_file(files: Files, name: str) -> Blob:
    """Return the file ``name`` of ``files``; raise ImageError if there is none."""
    found = files.find(name)
    if found is None:
        raise ImageError(f"read image: {files.path}: {name!r:.200}: missing")
    return found


def _index(path: Path, *, called: Path) -> list[TarMember]:
    descriptor, status = open_regular(path)
    try:
        return index_tar(descriptor, status.st_size)
    except LayerError as error:
        raise ImageError(f"read image: {called}: not an image archive: {error}") from error
    finally:
        os.close(descriptor)


def _target(member: TarMember) -> str:
    if member.type_flag == _HARDLINK:
        return posixpath.normpath(member.link_target)
    directory = posixpath.dirname(member.name)
    return posixpath.normpath(posixpath.join(directory, member.link_target))
