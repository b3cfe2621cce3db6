"""Values where a document of JSON has others."""

import random

_VALUES: tuple[object, ...] = (
    None, True, -1, 2**70, 1.5, float("nan"), float("inf"), "", "../../outside/secret",
    "/etc/passwd", [], {}, [[]], [None], {"x": None}, [""], "=", "\0", "\udcff", "\ud800",
    "sha256:" + "0" * 64, "sha256:" + "A" * 64,
)  # fmt: skip


def put_odd_value(document: object, chooser: random.Random) -> None:
    """Put an odd value somewhere into ``document``, an array or object with something in it."""
    keys: list[object] = []
    if isinstance(document, dict):
        keys = list(document)
    elif isinstance(document, list):
        keys = list(range(len(document)))
    key = chooser.choice(keys)
    inner = document[key]  # type: ignore[index] # one of its keys
    if isinstance(inner, dict | list) and inner and chooser.random() < 0.8:
        put_odd_value(inner, chooser)
    else:
        document[key] = chooser.choice(_VALUES)  # type: ignore[index] # one of its keys
