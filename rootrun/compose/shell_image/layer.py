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
    USER,
    ShellSettings,
    files_of_attributes,
    shell_environment,
)
from rootrun.image.document import JsonObject
from rootrun.layer.entry import Entry, EntryPath, EntryType, ancestors, name_bytes
from rootrun.layer.tar_writer import TarWriter
from rootrun.namedtuple import NamedTuple

_SH = "/bin/sh"
_START = EntryPath("etc/nix-shell-rc")
_NO_HOMES = ("/homeless-shelter", "/var/empty")  # what Nix and nixpkgs call one that there is not
_OWNED = ("nix/var", "nix/var/nix", "etc/nix", BUILD_DIRECTORY.strip("/"))


class _Owned(NamedTuple):
    """An item of the layer, and whether the user of the image owns it."""

    item: Item
    is_users: bool = False


class MadeLayer(NamedTuple):
    """The layer, as a tar."""

    content: bytes
    entry_count: int


def shell_config(derivation: Derivation, settings: ShellSettings) -> JsonObject:
    """Return what the configuration says: user, directory, environment and the shell to start."""
    start = f"/{_START}"
    option = () if settings.run is not None else ("--rcfile",)
    variables = shell_environment(derivation, settings)
    return {
        "User": f"{settings.uid}:{settings.gid}",
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "Cmd": [settings.shell, *option, start],
        "WorkingDir": BUILD_DIRECTORY,
    }


def shell_layer(derivation: Derivation, settings: ShellSettings, *, mtime_s: int) -> MadeLayer:
    """Return the layer, whose entries have the time ``mtime_s``."""
    pieces: list[bytes] = []
    writer = TarWriter(lambda piece: pieces.append(bytes(piece)))
    items = _complete(_items(derivation, settings))
    for item, is_users in items:
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
    return MadeLayer(b"".join(pieces), len(items))


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
    user = f"{USER}:x:{settings.uid}:{settings.gid}:Build user:{settings.home}:{shell}\n"
    for group in fake_nss(passwd=user, group=f"{USER}:!:{settings.gid}:\n"):
        yield from map(_Owned, group.items)
    if shell != _SH:
        yield _Owned(Item(EntryPath(_SH.strip("/")), EntryType.SYMLINK, target=shell))
    yield _file(_START, start_of_shell(settings))
    words = [derivation.builder, *derivation.args]
    builder = f"#!{shell}\nexec {shlex.join(words)}\n"
    yield _file(f"{BUILDER_DIRECTORY}/{BUILDER}", builder, mode=0o755)
    for path in dict.fromkeys(_owned(settings)):
        if path:
            yield _Owned(Item(EntryPath(path), EntryType.DIRECTORY, 0o755), is_users=True)
    yield _Owned(Item(EntryPath("tmp"), EntryType.DIRECTORY, 0o1777))
    for path, content in files_of_attributes(derivation).items():
        yield _file(path, content)._replace(is_users=True)


def _owned(settings: ShellSettings) -> Iterator[str]:
    """Yield the directories of the user; the root is none of them."""
    store = settings.store.strip("/")
    yield from (store.rpartition("/")[0], store, *_OWNED)
    if settings.home not in _NO_HOMES:
        yield settings.home.strip("/")


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
