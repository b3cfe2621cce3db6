"""The history of an image: one entry a step, layers or not (image-spec 1.1, config.md)."""

from collections.abc import Iterable, Mapping, Sequence

from rootrun.image.document import JsonObject, as_object, get_flag, get_list, get_text

_KEY_ORDER = ("created", "created_by", "author", "comment", "empty_layer")
UNKNOWN_STEP = "layer of unknown origin"


def parse_history(config: Mapping[str, object], *, where: str) -> tuple[JsonObject, ...]:
    """Return the entries of ``config``; unknown keys stay in them."""
    entries = get_list(config, "history", where=where)
    return tuple(_checked(entry, where=f"{where}: history") for entry in entries)


def is_empty_layer(entry: Mapping[str, object]) -> bool:
    """Say whether ``entry`` made no layer."""
    return bool(entry.get("empty_layer"))


def repair_history(
    entries: Sequence[JsonObject], *, layer_count: int, created: str
) -> tuple[JsonObject, ...]:
    """Return ``entries`` with as many non-empty ones as there are layers.

    Registries refuse an image where they differ. Layers without an entry are
    taken for the newest, because tools that add a layer and no entry add it
    on top; entries without a layer are the newest too, and become empty ones.
    """
    repaired = list(entries)
    surplus = sum(not is_empty_layer(entry) for entry in entries) - layer_count
    for position in reversed(range(len(repaired))):
        if surplus > 0 and not is_empty_layer(repaired[position]):
            repaired[position] = {**repaired[position], "empty_layer": True}
            surplus -= 1
    unknown: JsonObject = {"created": created, "comment": UNKNOWN_STEP}
    return (*repaired, *(dict(unknown) for _ in range(-surplus)))


def append_steps(
    entries: Sequence[JsonObject], *, created: str, created_by: Iterable[str], has_layers: bool
) -> tuple[JsonObject, ...]:
    """Return ``entries`` and one more for each of ``created_by``, which may be nothing."""
    mark: JsonObject = {} if has_layers else {"empty_layer": True}
    named: list[JsonObject] = [{"created_by": by} if by else {} for by in created_by]
    return (*entries, *({"created": created} | by | mark for by in named))


def ordered_entry(entry: Mapping[str, object]) -> JsonObject:
    """Return ``entry`` with its keys in the order of the specification."""
    known = {key: entry[key] for key in _KEY_ORDER if key in entry}
    return known | {key: value for key, value in entry.items() if key not in known}


def _checked(value: object, *, where: str) -> JsonObject:
    entry = as_object(value, where=where)
    for key in ("created", "created_by", "author", "comment"):
        get_text(entry, key, where=where)
    get_flag(entry, "empty_layer", where=where)
    return entry
