"""The name of an image in a registry: ``HOST/NAME:TAG`` or ``HOST/NAME@DIGEST``."""

from rootrun.errors import ImageError, UsageError
from rootrun.image.digest import Digest, parse_digest
from rootrun.image.reference import parse_name, parse_tag
from rootrun.namedtuple import NamedTuple

_PREFIX = "docker://"
LATEST = "latest"


class RegistryName(NamedTuple):
    """A repository, and what is meant in it. Where there is a digest, the tag is but a label."""

    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        if self.digest:
            return f"{_PREFIX}{self.repository}@{self.digest}"  # skopeo takes no tag beside it
        return f"{_PREFIX}{self.repository}:{self.tag or LATEST}"


def parse_registry_name(text: str) -> RegistryName:
    """Return what ``[docker://]NAME[:TAG][@DIGEST]`` names; UsageError for what is no such name."""
    name, at, digest = text.removeprefix(_PREFIX).partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # the colon of a port
        repository, tag = name, ""
    try:
        return RegistryName(
            parse_name(repository),
            parse_tag(tag) if tag or repository != name else None,
            parse_digest(digest, where="name") if at else None,
        )
    except ImageError:
        raise UsageError(f"registry: {text}: not a sha256 digest") from None
