"""Values of the options of ``rootrun layered``."""

import json
import os

from rootrun.cli.config_values import read_small_file
from rootrun.cli.values import parse_absolute, parse_path


def parse_store_directory(text: str) -> str:
    """Return the directory of a store, absolute, in its shortest spelling."""
    directory = parse_absolute(text)
    if directory == "/":
        raise ValueError("the root itself is no store")
    return directory


def parse_operations(text: str) -> list[object]:
    """Return the list that the JSON text, or the file of that name, holds."""
    source = text if text.lstrip().startswith("[") else read_small_file(parse_path(text))
    try:
        document: object = json.loads(os.fsencode(source))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(document, list):
        raise ValueError("not a list of operations")
    return document
