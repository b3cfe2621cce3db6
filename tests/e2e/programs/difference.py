"""What differs between two layers, for people: a line for each entry, and where texts part."""

import difflib
import hashlib
import io
import tarfile
from collections.abc import Iterator

_MOST_ENTRIES = 40
_MOST_LINES = 12
_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
}


def difference(expected: bytes, found: bytes) -> str:
    """Return how the layer ``found`` differs from ``expected``, in words; empty if it does not."""
    if expected == found:
        return ""
    return "\n".join(_lines(expected, found)) or "the same entries, in other bytes"


def differing(expected: bytes, found: bytes) -> list[str]:
    """Return the names of the entries that are not the same in both layers, in order."""
    return _differing(_contents(expected), _contents(found))


def _lines(expected: bytes, found: bytes) -> Iterator[str]:
    ours, theirs = _contents(found), _contents(expected)
    names = _differing(theirs, ours)
    for name in names[:_MOST_ENTRIES]:
        yield f"{name}:"
        yield f"  expected {_shown(theirs.get(name))}"
        yield f"  found    {_shown(ours.get(name))}"
        if name in ours and name in theirs:
            yield from _text_difference(theirs[name][1], ours[name][1])
    if len(names) > _MOST_ENTRIES:
        yield f"and {len(names) - _MOST_ENTRIES} entries more"


Content = tuple[tuple[object, ...], bytes]


def _differing(expected: dict[str, Content], found: dict[str, Content]) -> list[str]:
    return [name for name in sorted(expected | found) if expected.get(name) != found.get(name)]


def _contents(layer: bytes) -> dict[str, Content]:
    contents: dict[str, Content] = {}
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        for member in tar:
            file_object = tar.extractfile(member) if member.isreg() else None
            described = (
                _KINDS.get(member.type, repr(member.type)),
                f"{member.mode:o}",
                f"{member.uid}:{member.gid}",
                f"{member.devmajor},{member.devminor}",
                member.linkname,
                member.pax_headers,
            )
            contents[member.name] = (described, file_object.read() if file_object else b"")
    return contents


def _shown(content: Content | None) -> str:
    if content is None:
        return "nothing"
    described, content_bytes = content
    words = [str(word) for word in described if word not in ("", "0,0", {})]
    digest = hashlib.sha256(content_bytes).hexdigest()[:12]
    return " ".join([*words, f"{len(content_bytes)} bytes {digest}"])


def _text_difference(expected: bytes, found: bytes) -> Iterator[str]:
    if expected == found:
        return
    try:
        before, after = expected.decode().splitlines(), found.decode().splitlines()
    except UnicodeDecodeError:
        return
    lines = difflib.unified_diff(before, after, "expected", "found", lineterm="", n=1)
    for _, line in zip(range(_MOST_LINES), lines, strict=False):
        yield f"    {line}"
