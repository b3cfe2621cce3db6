"""Values of the options that name images."""

import re

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import ImageError
from rootrun.image import digest, reference
from rootrun.image.platform import parse_platform
from rootrun.image.reference import ImageReference, OutputReference, Transport
from rootrun.namedtuple import NamedTuple

if TYPE_CHECKING:
    from rootrun.image.registry_name import RegistryName

# org.opencontainers.image.ref.name (image-spec 1.1, annotations.md).
_REF_PART = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
_OCI_REF = rf"{_REF_PART}(?:/{_REF_PART})*"


class Tag(NamedTuple):
    """What ``--tag`` says: a tag, and a name where it was ``NAME:TAG``."""

    name: str | None
    tag: str


def parse_base(text: str) -> ImageReference | None:
    """Return where the base is, None for ``scratch``: an empty root."""
    return None if text == "scratch" else parse_source(text)


def parse_source(text: str) -> ImageReference:
    """Return where an image is read from."""
    if not text:
        raise ValueError("an empty path")
    return reference.parse_image_reference(text)


def parse_output(text: str) -> OutputReference:
    """Return where the new image goes."""
    if not text:
        raise ValueError("an empty path")
    output = reference.parse_output_reference(text)
    if output.ref is None:
        return output
    if output.transport is Transport.DOCKER_ARCHIVE:
        if parse_tag(output.ref).name is None:
            raise ValueError(f"{output.ref} is not NAME:TAG")
    elif not re.fullmatch(_OCI_REF, output.ref):
        raise ValueError(f"{output.ref} is no name of an image in an OCI layout")
    return output


def parse_name(text: str) -> str:
    """Return the name of an image in lower case."""
    return reference.parse_name(text)


def parse_tag(text: str) -> Tag:
    """Return a tag, or a name and a tag: neither ``:`` nor ``/`` can be in a tag alone."""
    name, colon, tag = text.rpartition(":")
    if colon and "/" not in tag:
        return Tag(reference.parse_name(name), reference.parse_tag(tag))
    return Tag(None, reference.parse_tag(text))


def parse_bare_tag(text: str) -> str:
    """Return a tag without a name."""
    return reference.parse_tag(text)


def parse_digest(text: str) -> str:
    """Return a digest."""
    try:
        return digest.parse_digest(text, where="digest")
    except ImageError:
        raise ValueError("not a sha256 digest") from None


def parse_registry(text: str) -> "RegistryName":
    """Return a name in a registry, ``docker://`` before it or not."""
    from rootrun.image.registry_name import parse_registry_name  # a run needs none

    return parse_registry_name(text)


def parse_architecture(text: str) -> str:
    """Return a GOARCH name, with its variant where it has one: ``arm64``, ``arm/v7``."""
    platform = parse_platform(text)
    return "/".join(part for part in (platform.architecture, platform.variant) if part)
