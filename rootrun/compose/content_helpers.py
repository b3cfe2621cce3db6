"""``--with``: what many programs look for, made in images that lack it.

The contents are those of the helpers of the same names in nixpkgs' dockerTools. What the image, or
a copy, has already stays as it is.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from rootrun.compose.root_files import RootFiles
from rootrun.errors import UsageError
from rootrun.layer.entry import EntryPath, EntryType
from rootrun.namedtuple import NamedTuple
from rootrun.request import Helper, HelperKind

_SHELL = "/bin/sh"
_PAM = """\
account sufficient pam_unix.so
auth sufficient pam_rootok.so
password requisite pam_unix.so nullok yescrypt
session required pam_unix.so
"""
# Where OpenSSL of NixOS and SUSE, of Debian, and of Fedora look.
_BUNDLES = (
    EntryPath("etc/ssl/certs/ca-bundle.crt"),
    EntryPath("etc/ssl/certs/ca-certificates.crt"),
    EntryPath("etc/pki/tls/certs/ca-bundle.crt"),
)


class Item(NamedTuple):
    """A file, directory or symlink to make."""

    path: EntryPath
    type: EntryType
    mode: int = 0o777
    content: bytes = b""  # of a file
    target: str = ""  # of a symlink


class Group(NamedTuple):
    """Items that are made only if the first of them is missing.

    In ``is_one_file`` all are names of one file: the first that is missing gets the content, and
    the others become symlinks to it, each where nothing is.
    """

    items: tuple[Item, ...]
    is_one_file: bool = False


def groups_of(helper: Helper) -> tuple[Group, ...]:
    """Return what ``helper`` makes; reads the bundle that it names.

    Raises UsageError if that cannot be read.
    """
    match helper.kind:
        case HelperKind.FAKE_NSS:
            return fake_nss()
        case HelperKind.SHADOW:
            return _SHADOW
        case HelperKind.TMP:
            return (_alone(Item(EntryPath("tmp"), EntryType.DIRECTORY, 0o1777)),)
        case HelperKind.BIN_SH:
            return (_alone(_link("bin/sh", helper.path)),)
        case HelperKind.USR_BIN_ENV:
            return (_alone(_link("usr/bin/env", helper.path)),)
        case HelperKind.CA_CERTIFICATES:
            bundle = _read_bundle(Path(helper.path))
            items = tuple(Item(path, EntryType.FILE, 0o644, bundle) for path in _BUNDLES)
            return (Group(items, is_one_file=True),)


def fake_nss(*, passwd: str = "", group: str = "") -> tuple[Group, ...]:
    """Return the files of users, with more lines of passwd(5) and group(5) behind that of root."""
    users = (
        f"root:x:0:0:root user:/var/empty:{_SHELL}\n{passwd}"
        f"nobody:x:65534:65534:nobody:/var/empty:{_SHELL}\n"
    )
    return (
        _alone(_file("etc/passwd", users)),
        _alone(_file("etc/group", f"root:x:0:\n{group}nobody:x:65534:\n")),
        _alone(_file("etc/nsswitch.conf", "hosts: files dns\n")),
        _alone(Item(EntryPath("var/empty"), EntryType.DIRECTORY, 0o555)),
    )


def add_groups(groups: Iterable[Group], files: RootFiles) -> None:
    """Make in ``files`` what of ``groups`` is missing there. Raises OSError and LayerError."""
    for group in groups:
        if group.is_one_file:
            _add_one_file(group.items, files)
        elif not files.has(group.items[0].path):
            for item in group.items:
                if not files.has(item.path):
                    _add(item, files)


def _add(item: Item, files: RootFiles) -> None:
    if item.type is EntryType.DIRECTORY:
        files.make_directory(item.path, mode=item.mode)
    elif item.type is EntryType.SYMLINK:
        files.link(item.path, item.target)
    else:
        files.write(item.path, item.content, mode=item.mode)


def _add_one_file(items: Iterable[Item], files: RootFiles) -> None:
    missing = [item for item in items if not files.has(item.path)]
    for item in missing[:1]:
        _add(item, files)
    for item in missing[1:]:
        files.link(item.path, f"/{missing[0].path}")


def _read_bundle(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        name = f"{HelperKind.CA_CERTIFICATES.value}={os.fspath(path)}"
        raise UsageError(f"--with: {name!r}: {error.strerror}") from error
    return content


def _alone(item: Item) -> Group:
    return Group((item,))


def _link(path: str, target: str) -> Item:
    return Item(EntryPath(path), EntryType.SYMLINK, target=target)


def _file(path: str, content: str, *, mode: int = 0o644) -> Item:
    return Item(EntryPath(path), EntryType.FILE, mode, content.encode("ascii"))


_SHADOW = (
    Group(
        (
            _file("etc/passwd", f"root:x:0:0::/root:{_SHELL}\n"),
            _file("etc/shadow", "root:!x:::::::\n", mode=0o600),
        )
    ),
    Group((_file("etc/group", "root:x:0:\n"), _file("etc/gshadow", "root:x::\n", mode=0o600))),
    _alone(_file("etc/pam.d/other", _PAM)),
    _alone(_file("etc/login.defs", "")),
)
