"""The names of images, as the command line has them."""

import os
from contextlib import suppress
from itertools import pairwise

from rootrun.errors import RootrunError
from rootrun.image.platform import can_run, parse_platform
from rootrun.image.reference import (
    name_from_stems,
    parse_image_reference,
    parse_name,
    parse_output_reference,
    parse_tag,
    reference_stem,
    same_image_name,
)


def take_reference(content: bytes) -> None:
    """Parse each line as whatever an image can be named by."""
    # No argument of a program has a NUL.
    lines = [os.fsdecode(line) for line in content.replace(b"\0", b"").split(b"\n")]
    for line in lines:
        with suppress(RootrunError):
            name = name_from_stems(reference_stem(parse_image_reference(line)), line)
            assert parse_name(name) == name
        with suppress(RootrunError):
            assert parse_output_reference(line).path
        with suppress(RootrunError):
            assert parse_name(parse_name(line)) == line.lower()
        with suppress(RootrunError):
            assert parse_tag(line) == line
        with suppress(RootrunError):
            can_run(parse_platform(line).architecture)
        assert same_image_name(line, line)
    for one, other in pairwise(lines):
        assert same_image_name(one, other) == same_image_name(other, one)
