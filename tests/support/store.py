"""A store for tests: paths as Nix makes them, with their references, but not by Nix."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

Files = dict[str, bytes | str]


@dataclass(kw_only=True)
class Store:
    """A store in ``directory``; ``graph`` are its paths and what they refer to."""

    directory: Path
    graph: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, files: Files | bytes, *, references: Sequence[Path] = ()) -> Path:
        """Add a path; bytes are files, a str the target of a symlink, ``x*`` is executable.

        It may be a file itself. Modes are those of a store: 0444, 0555.
        """
        self.directory.mkdir(exist_ok=True)
        digest = hashlib.sha256(name.encode()).hexdigest()[:32].replace("e", "z")  # a digit of Nix
        path = self.directory / f"{digest}-{name}"
        if isinstance(files, bytes):
            path.write_bytes(files)
            path.chmod(0o444)
        else:
            _fill(path, files)
        self.graph[os.fspath(path)] = [os.fspath(reference) for reference in references]
        return path

    def write_closure(self, path: Path) -> Path:
        """Write the graph as one would by hand."""
        path.write_text(json.dumps(self.graph))
        return path

    def write_registration(self, path: Path) -> Path:
        """Write the graph as exportReferencesGraph does."""
        lines = []
        for one, references in sorted(self.graph.items()):
            lines += [one, "", str(len(references)), *references]
        path.write_text("".join(f"{line}\n" for line in lines))
        return path


def _fill(path: Path, files: Files) -> None:
    path.mkdir()
    for name, content in files.items():
        place = path / name.rstrip("*")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            place.symlink_to(content)
        else:
            place.write_bytes(content)
            place.chmod(0o555 if name.endswith("*") else 0o444)
    for directory in (*(one for one in path.rglob("*") if one.is_dir()), path):
        if not directory.is_symlink():
            directory.chmod(0o555)
