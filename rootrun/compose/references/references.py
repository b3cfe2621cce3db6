"""``--references``: which paths of a store a layer needs, and bringing them into it."""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from rootrun import log
from rootrun.compose.copy_in import copy_to_same_place
from rootrun.compose.layered.graph import Graph, Node, StorePath
from rootrun.compose.layered.graph_file import read_closures
from rootrun.compose.references.scan import HASH_BYTES, HASH_DIGITS, Scanner
from rootrun.compose.root_files import root_files
from rootrun.errors import LayerError, UsageError, told_as
from rootrun.image.config import ImageConfig
from rootrun.image.document import to_bytes
from rootrun.layer.diff import Change
from rootrun.layer.entry import EntryPath, EntryType, name_bytes
from rootrun.namedtuple import NamedTuple

OPTION = "--references"
_HASH = re.compile(f"[{HASH_DIGITS.decode()}]{{{HASH_BYTES}}}")


class References(NamedTuple):
    """The paths that may be brought in, and what they need."""

    graph: Graph

    def inputs(self, config: ImageConfig) -> Mapping[str, str]:
        """Return a digest of what makes a difference to a layer, by the word that users know.

        A path of a store never changes, so that its name tells what it has.
        """
        paths = {path: sorted(self.graph.references(path)) for path in sorted(self.graph)}
        named = sorted(self._named_by(config))
        return {OPTION: hashlib.sha256(repr((paths, named)).encode()).hexdigest()}

    def needed(self, changes: Iterable[Change], config: ImageConfig) -> set[StorePath]:
        """Return the paths that ``changes`` or ``config`` mention, and all that they need.

        A path is mentioned where its hash is: in a file, in the target of a symlink, in a name.
        Raises OSError.
        """
        paths = self._by_hash()
        scanner = Scanner(paths)
        scanner.look_at(_runtime(config))
        for change in changes:
            if scanner.is_done:
                break
            entry = change.entry
            scanner.look_at(name_bytes(f"{entry.path}\n{entry.link_target}"))
            if entry.type is EntryType.FILE and entry.size_bytes:
                scanner.look_into(change.name, change.directory_fd)
        return self.graph.closure(*(path for one in scanner.found for path in paths[one]))

    def among(self, paths: Iterable[str]) -> list[StorePath]:
        """Return those of ``paths`` that may be brought in."""
        wanted = set(paths)
        return [path for path in self.graph if path in wanted]

    def _named_by(self, config: ImageConfig) -> set[bytes]:
        scanner = Scanner(self._by_hash())
        scanner.look_at(_runtime(config))
        return scanner.found

    def _by_hash(self) -> dict[bytes, list[StorePath]]:
        found: dict[bytes, list[StorePath]] = {}
        for path in self.graph:
            found.setdefault(_hash_of(path), []).append(path)
        return found


def read_references(files: Iterable[Path]) -> References:
    """Return what ``files`` tell of; raises UsageError for what is no graph of a store."""
    told = read_closures(files, store=None, option=OPTION)
    for path in told:
        name = path.rpartition("/")[2]
        if not _HASH.fullmatch(name[:HASH_BYTES]) or name[HASH_BYTES : HASH_BYTES + 1] != "-":
            raise UsageError(f"{OPTION}: {path}: its name does not begin with the hash of a path")
    nodes = {path: Node(one.references, one.size_bytes or 0) for path, one in told.items()}
    return References(Graph(nodes))


def bring(paths: Iterable[StorePath], *, root: Path, mtime_s: int) -> None:
    """Copy those of ``paths`` that the root mounted at ``root`` lacks to where they are here.

    Raises UsageError for what cannot be copied.
    """
    try:
        with root_files(root, mtime_s=mtime_s) as files:
            missing = [path for path in sorted(paths) if not files.has(EntryPath(path[1:]))]
    except LayerError as error:
        raise UsageError(f"{OPTION}: in the image: {error}") from error
    for path in missing:
        log.debug("references: copy %s", path)
        with told_as(UsageError, OPTION, path):
            copy_to_same_place(path, root=root, mtime_s=mtime_s)
    if missing:
        log.info("references: %d paths of the store are copied", len(missing))


def _hash_of(path: StorePath) -> bytes:
    return os.path.basename(path)[:HASH_BYTES].encode("ascii")


def _runtime(config: ImageConfig) -> bytes:
    """Return what a container is started with; the history, which tells what was done, is not."""
    return to_bytes(config.runtime)
