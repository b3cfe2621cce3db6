"""Layers and operations of a script as hypothesis makes them up, on few names: they meet."""

import shlex
from collections.abc import Callable, Iterable
from typing import NamedTuple

from hypothesis import strategies as st

from tests.support.tarball import (
    Member,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    tarball,
    whiteout,
)

TOP = "t"
"""All of the layers and operations is below it."""
_PATHS = st.lists(st.sampled_from(["a", "b", "c d", "\u00fc"]), min_size=1, max_size=3).map(
    lambda names: "/".join([TOP, *names])
)
_FILE_MODES = st.sampled_from([0o644, 0o755, 0o600, 0o000, 0o4755])
_DIRECTORY_MODES = st.sampled_from([0o755, 0o700, 0o1777, 0o2755, 0o000])
_CONTENT = st.sampled_from([b"", b"x", b"y", b"long" * 9000])
_OWNERS = st.sampled_from([0, 0, 5])
_XATTRS = st.sampled_from([None, None, {"user.k": b"base", "user.l": b""}])
_TARGETS = st.sampled_from(["a", "b", "../a", "/t/b", "gone"])


@st.composite
def _member(draw: st.DrawFn, path: str) -> Member:
    kind = draw(st.sampled_from(["file", "file", "directory", "directory", "symlink", "fifo"]))
    owner = draw(_OWNERS)
    match kind:
        case "file":
            mode, xattrs = draw(_FILE_MODES), draw(_XATTRS)
            return file(path, draw(_CONTENT), mode=mode, uid=owner, gid=owner, xattrs=xattrs)
        case "directory":
            return directory(path, mode=draw(_DIRECTORY_MODES), uid=owner, xattrs=draw(_XATTRS))
        case "symlink":
            return symlink(path, draw(_TARGETS))
        case _:
            return fifo(path, mode=0o644)


class ArbitraryLayer(NamedTuple):
    """A layer of a base, that a failing test can show."""

    content: bytes
    told: list[str]

    def __repr__(self) -> str:
        return repr(self.told)


@st.composite
def arbitrary_layer(draw: st.DrawFn) -> ArbitraryLayer:
    """Return a layer in which each entry has a directory above it, and markers."""
    members: dict[str, Member] = {TOP: directory(TOP, mode=draw(_DIRECTORY_MODES))}
    for path in draw(st.lists(_PATHS, max_size=8)):
        for count in range(1, path.count("/") + 1):
            above = "/".join(path.split("/")[:count])
            if _has_parent(members, above):
                members[above] = directory(above, mode=draw(_DIRECTORY_MODES))
        files = sorted(path for path, member in members.items() if member.header.isreg())
        if _has_parent(members, path):
            target = draw(st.sampled_from(["", *files]))
            members[path] = hardlink(path, target) if target else draw(_member(path))
    directories = [path for path, member in members.items() if member.header.isdir()]
    hidden = draw(st.lists(st.sampled_from(directories), max_size=1))
    gone = [path for path in draw(st.lists(_PATHS, max_size=4)) if _has_parent(members, path)]
    markers = [*(opaque(path) for path in hidden), *(whiteout(path) for path in gone)]
    everything = [*members.values(), *markers]
    told = [f"{member.header.name} {member.header.type!r} {member.header.mode:o}"
            for member in everything]  # fmt: skip
    return ArbitraryLayer(tarball(*everything), told)


def _has_parent(members: dict[str, Member], path: str) -> bool:
    """Say whether ``path`` is missing in a directory that is there."""
    above = members.get(path.rpartition("/")[0])
    return above is not None and above.header.isdir() and path not in members


def _operation(path: str, other: str, word: str) -> Iterable[str]:
    one, two = shlex.quote(f"/{path}"), shlex.quote(f"/{other}")
    is_no_fifo = f"[ ! -p {one} ]"  # which would wait for a reader
    yield f"{is_no_fifo} && echo {word} > {one}"
    yield f"{is_no_fifo} && echo {word} >> {one}"
    yield f"{is_no_fifo} && printf x > {one}"
    yield f"chmod 600 {one}"
    yield f"chmod 2755 {one}"
    yield f"touch {one}"
    yield f"mkdir {one}"
    yield f"rm {one}"
    yield f"rm -r {one}"
    yield f"rm -r {one}; mkdir {one}"
    yield f"rm -r {one}; echo {word} > {one}"
    yield f"cp -a {one} {one}.copy && rm -r {one} && mv {one}.copy {one}"
    yield f"{_no_directory_over_another(path, other)} && mv {one} {two}"
    yield f"ln {one} {two}"
    yield f"ln -s b {one}"
    yield f"ln -sfn {two} {one}"
    yield f"mkfifo {one}"
    yield f"chown 0:0 {one}"
    yield f"chown 5:6 {one}"
    yield f"chown -h 7 {one}"
    yield f"{is_no_fifo} && dd of={one} bs=1 seek=2 count=0"  # truncated, or made longer
    yield f"{is_no_fifo} && printf z | dd of={one} bs=1 conv=notrunc"
    yield f"mkdir -p {one}/e/f && mv {one}/e {two}"
    yield f"mv {one} /{TOP}/a && mkdir {one} && mv /{TOP}/a {one}"


def _no_directory_over_another(path: str, other: str) -> str:
    # The one difference between an overlay and a copy: EXDEV, where an empty one would be replaced.
    target = f"/{other}/{path.rpartition('/')[2]}"
    return f"[ ! -d {shlex.quote(target)} ]"


def _xattr_operation(path: str, other: str, word: str) -> Iterable[str]:
    one, two = shlex.quote(f"/{path}"), shlex.quote(f"/{other}")
    yield f"/usr/bin/setfattr -n user.k -v {word} {one}"
    yield f"/usr/bin/setfattr -n user.k -v base {one}"
    yield f"/usr/bin/setfattr -x user.k {one}"
    yield f"/usr/bin/setfattr -n user.l {one}; /usr/bin/setfattr -x user.l {one}"
    move = f"{_no_directory_over_another(path, other)} && mv {one} {two}"
    yield f"/usr/bin/setfattr -n user.new -v {word} {one}; {move}"
    yield f"/usr/bin/cp -a {one} {one}.copy && rm -r {one} && mv {one}.copy {one}"


def _commands(kinds: Callable[[str, str, str], Iterable[str]]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda path, other, word, number: list(kinds(path, other, word))[number],
        _PATHS,
        _PATHS,
        st.sampled_from(["one", "two"]),
        st.integers(0, len(list(kinds("", "", ""))) - 1),
    )


OPERATIONS = _commands(_operation)
"""Shell commands, which may fail."""

XATTR_OPERATIONS = _commands(_xattr_operation)
"""Those on extended attributes, by the programs of a Debian."""
