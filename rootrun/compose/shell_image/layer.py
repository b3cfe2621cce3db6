"""The layer of a shell image that is on top of the store: users, directories and the shell's start.

It is written straight from values: owners are no matter of who runs this, or of an id map.
"""

import shlex
from collections.abc import Iterable, Iterator

from rootrun.compose.content_helpers import Item, fake_nss
from rootrun.compose.derivation import Derivation
from rootrun.compose.shell_image.environment import (
    BUILD_DIRECTORY,
    BUILDER,
    BUILDER_DIRECTORY,
    ShellSettings,
    files_of_attributes,
    shell_environment,
)
from rootrun.image.edits import ConfigEdits
from rootrun.layer.entry import Entry, EntryPath, EntryType, ancestors, name_bytes
from rootrun.layer.tar_writer import TarWriter
from rootrun.namedtuple import NamedTuple

_USER = "nixbld"
_SH = "/bin/sh"
_START = EntryPath("etc/nix-shell-rc")
_OWNED = ("nix", "nix/store", "nix/var", "nix/var/nix", "etc/nix", BUILD_DIRECTORY.strip("/"))


class _Owned(NamedTuple):
    """An item of the layer, and whether the user of the image owns it."""

    item: Item
    is_users: bool = False


def shell_edits(derivation: Derivation, settings: ShellSettings) -> ConfigEdits:
    """Return what the configuration says: user, directory, environment and the shell to start."""
    start = f"/{_START}"
    option = () if settings.run is not None else ("--rcfile",)
    return ConfigEdits(
        env=tuple(shell_environment(derivation, settings).items()),
        command=(settings.shell, *option, start),
        working_directory=BUILD_DIRECTORY,
        user=f"{settings.uid}:{settings.gid}",
    )


def shell_layer(derivation: Derivation, settings: ShellSettings, *, mtime_s: int) -> bytes:
    """Return the layer, as a tar."""
    pieces: list[bytes] = []
    writer = TarWriter(lambda piece: pieces.append(bytes(piece)))
    for item, is_users in _complete(_items(derivation, settings)):
        entry = Entry(
            path=item.path,
            type=item.type,
            mode=item.mode,
            uid=settings.uid if is_users else 0,
            gid=settings.gid if is_users else 0,
            mtime_s=mtime_s,
            link_target=item.target,
        )
        if item.type is EntryType.FILE:
            writer.add_bytes(entry, item.content)
        else:
            writer.add(entry)
    writer.finish()
    return b"".join(pieces)


def start_of_shell(settings: ShellSettings) -> str:
    """Return what bash reads first: the set-up of stdenv, as nix-shell has it, then what to run."""
    shell = shlex.quote(settings.shell)
    lines = [
        "unset PATH",
        "dontAddDisableDepTrack=1",
        'if [ -e "$stdenv/setup" ]; then source "$stdenv/setup"; fi',
        f"PATH={shlex.quote(settings.path)}${{PATH:+:$PATH}}",
        f"SHELL={shell}",
        f"BASH={shell}",
        "set +e",
        r"""if [ -n "$PS1" ] && [ -z "$NIX_SHELL_PRESERVE_PROMPT" ]; then""",
        r"""    PS1='\n\[\033[1;32m\][nix-shell:\w]\$\[\033[0m\] '""",
        "fi",
        'if [ "$(type -t runHook)" = function ]; then runHook shellHook; fi',
        "unset NIX_ENFORCE_PURITY",
        "shopt -u nullglob",
        "shopt -s execfail",
    ]
    wanted = settings.command if settings.run is None else settings.run
    if wanted is not None:
        lines += [wanted, "exit"]
    return "\n".join(lines) + "\n"


def _items(derivation: Derivation, settings: ShellSettings) -> Iterator[_Owned]:
    shell = settings.shell
    user = f"{_USER}:x:{settings.uid}:{settings.gid}:Build user:{settings.home}:{shell}\n"
    for group in fake_nss(passwd=user, group=f"{_USER}:!:{settings.gid}:\n"):
        yield from map(_Owned, group.items)
    if shell != _SH:
        yield _Owned(Item(EntryPath(_SH.strip("/")), EntryType.SYMLINK, target=shell))
    yield _file(_START, start_of_shell(settings))
    words = [derivation.builder, *derivation.args]
    builder = f"#!{shell}\nexec {shlex.join(words)}\n"
    yield _file(f"{BUILDER_DIRECTORY}/{BUILDER}", builder, mode=0o755)
    for path in dict.fromkeys((*_OWNED, settings.home.strip("/"))):
        if path:
            yield _Owned(Item(EntryPath(path), EntryType.DIRECTORY, 0o755), is_users=True)
    yield _Owned(Item(EntryPath("tmp"), EntryType.DIRECTORY, 0o1777))
    for path, content in files_of_attributes(derivation).items():
        yield _file(path, content)._replace(is_users=True)


def _file(path: str, text: str, *, mode: int = 0o644) -> _Owned:
    content = text.encode("utf-8", "surrogateescape")
    return _Owned(Item(EntryPath(path.strip("/")), EntryType.FILE, mode, content))


def _complete(items: Iterable[_Owned]) -> list[_Owned]:
    """Return the items with the directories above them, in the order of a layer."""
    found = {owned.item.path: owned for owned in items}
    for path in list(found):
        for directory in ancestors(path):
            implied = _Owned(Item(directory, EntryType.DIRECTORY, 0o755))
            found.setdefault(directory, implied)
    return sorted(found.values(), key=lambda owned: _sort_key(owned.item.path))


def _sort_key(path: EntryPath) -> list[bytes]:
    return [name_bytes(name) for name in path.split("/")]
