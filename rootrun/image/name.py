"""Names and tags of images: the grammar of references (distribution-spec 1.1, Pulling manifests)."""

import re

from rootrun.errors import UsageError
from rootrun.image.reference import ImageReference

_WORD = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-z0-9]+(?:-+[a-z0-9]+)*(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*|\[[0-9a-f:]+\])(?::[0-9]+)?"
_NAME = re.compile(rf"(?:{_HOST}/)?{_WORD}(?:/{_WORD})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_MAX_NAME = 255
_SUFFIXES = re.compile(r"(?:\.(?:tar|tgz|tzst|gz|zst|xz|bz2|oci|sh|bash|py|pl))+$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_OWN_HOSTS = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "localhost/")


def parse_name(text: str) -> str:
    """Return ``text`` in lower case; raise UsageError if that is no repository name.

    A registry host, its port and slashes are part of a name: ``localhost:5000/a/b``.
    docker takes no upper case, and dockerTools lowers it too.
    """
    name = text.lower()
    if len(name) <= _MAX_NAME and _NAME.fullmatch(name):
        return name
    repository, colon, tag = name.rpartition(":")
    hint = "give the tag as --tag" if colon and "/" not in tag and repository else None
    raise UsageError(f"image name: {text!r}: not a repository name", hint=hint)


def parse_tag(text: str) -> str:
    """Return ``text``, a tag: at most 128 letters, digits, ``_``, ``.`` and ``-``."""
    if _TAG.fullmatch(text):
        return text
    raise UsageError(f"image tag: {text!r}: not a tag")


def name_from_stems(base: str | None, script: str | None) -> str:
    """Return the default name, as ``base-setup`` for ``base.tar`` and ``setup.sh``.

    File names are fine: their known suffixes go, and what the grammar of names
    does not have becomes ``-``. None, or nothing left, is passed over.
    """
    parts = (_SEPARATORS.sub("-", stem(text).lower()).strip("-") for text in (base, script) if text)
    return "-".join(part for part in parts if part)[:_MAX_NAME].strip("-") or "image"


def stem(file_name: str) -> str:
    """Return the last component of ``file_name`` without suffixes of archives and scripts."""
    last = file_name.rstrip("/").rpartition("/")[2]
    return _SUFFIXES.sub("", last) or last


def reference_stem(reference: ImageReference | None) -> str | None:
    """Return what a default name makes of the base, None for stdin and for no base."""
    if reference is None or reference.path is None:
        name = reference.name if reference else None
        return name.partition("@")[0].rpartition("/")[2].partition(":")[0] if name else None
    text = str(reference.path)
    return None if text == "-" else stem(text)


def same_image_name(one: str, other: str) -> bool:
    """Say whether two names mean one image: docker.io, library and latest may be left out."""
    return _familiar(one) == _familiar(other)


def _familiar(name: str) -> str:
    for host in _OWN_HOSTS:
        if name.startswith(host):
            name = name.removeprefix(host)
            break
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
