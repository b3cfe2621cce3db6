"""What the examples have in common: the image that they start from."""

import os
from pathlib import Path

import pytest

from rootrun.testing.plugin import ImageFactory

INSTALL = Path(__file__).with_name("install.sh")


@pytest.fixture(scope="session")
def debian(rootrun_image: ImageFactory) -> str:
    """A Debian with the programs of all examples, made of the image that EXAMPLES_BASE names.

    EXAMPLES_IMAGE names one that was made already.
    """
    made = os.environ.get("EXAMPLES_IMAGE")
    if made:
        return made
    options = ["--network", "host", "--owner", "keep"]
    return os.fspath(rootrun_image(os.environ["EXAMPLES_BASE"], INSTALL, options=options))
