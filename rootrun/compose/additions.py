"""What is made in the root before the first step, after the copies: ``--with``, ``--nix-db``."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from rootrun.compose.content_helpers import Group, add_groups, groups_of
from rootrun.compose.nix_database.database import require_sqlite
from rootrun.compose.nix_database.loading import load
from rootrun.compose.nix_database.registration import ValidPath, parse_registration
from rootrun.compose.nix_database.store_path import StorePath
from rootrun.compose.root_files import root_files
from rootrun.errors import LayerError, UsageError, told_as
from rootrun.namedtuple import NamedTuple
from rootrun.request import Request

HELPERS = "the content of --with"
REGISTRATION = "the content of --nix-db"


class Additions(NamedTuple):
    """What to make, with all files of the host read."""

    groups: tuple[Group, ...] = ()
    registrations: tuple[ValidPath, ...] = ()

    def inputs(self) -> Mapping[str, str]:
        """Return digests of what is made, by the words that users know."""
        registered = sorted(
            (*values, deriver or "", sorted(references))
            for *values, deriver, references in self.registrations
        )
        return {HELPERS: _digest(self.groups), REGISTRATION: _digest(registered)}


def additions_of(request: Request) -> Additions:
    """Return what ``request`` asks for; raises UsageError for what cannot be read, or be."""
    if request.registrations:
        require_sqlite()
    groups = [group for helper in request.helpers for group in groups_of(helper)]
    return Additions(tuple(groups), _registered(request.registrations))


def add(additions: Additions, *, root: Path, scratch: Path, mtime_s: int) -> None:
    """Make ``additions`` in the root mounted at ``root``; ``scratch`` is a directory to work in.

    Raises UsageError for what the root contradicts, ImageError for a database that cannot be
    merged.
    """
    try:
        with root_files(root, mtime_s=mtime_s) as files:
            with told_as(UsageError, "--with", "/"):
                add_groups(additions.groups, files)
            if additions.registrations:
                place = scratch / "nix-database"
                place.mkdir()
                with told_as(UsageError, "--nix-db", "/"):
                    load(additions.registrations, files, scratch=place, mtime_s=mtime_s)
    except LayerError as error:
        what = "--nix-db" if additions.registrations else "--with"
        raise UsageError(f"{what}: in the image: {error}") from error


def _registered(places: Iterable[Path]) -> tuple[ValidPath, ...]:
    merged: dict[StorePath, ValidPath] = {}
    for place in places:
        try:
            for path, registered in parse_registration(place.read_bytes()).items():
                if merged.setdefault(path, registered) != registered:
                    raise ValueError(f"{path}: another file registers it with different values")
        except OSError as error:
            raise UsageError(f"--nix-db: {os.fspath(place)!r}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"--nix-db: {os.fspath(place)!r}: {error}") from error
    return tuple(merged.values())


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
