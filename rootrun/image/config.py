"""The configuration of an image, checked as it enters (image-spec 1.1, config.md)."""

from collections.abc import Mapping

from rootrun.dataclass import dataclass
from rootrun.errors import ImageError
from rootrun.image.digest import Digest, parse_digest
from rootrun.image.document import (
    JsonObject,
    get_list,
    get_object,
    get_text,
    get_texts,
    parse_object,
    refuse_twins,
    to_bytes,
)
from rootrun.image.history import ordered_entry, parse_history
from rootrun.image.manifest import check_layer_count

KEY_ORDER = (
    "created",
    "author",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "config",
    "rootfs",
    "history",
)
RUNTIME_KEY_ORDER = (
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Memory",
    "MemorySwap",
    "CpuShares",
    "Healthcheck",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What rootrun reads of a configuration, and the ``raw`` object for all the rest.

    ``architecture`` and ``variant`` are Go's names, empty where the image does
    not say. ``raw`` is not to be changed.
    """

    architecture: str
    os: str
    variant: str
    created: str
    env: tuple[str, ...]
    diff_ids: tuple[Digest, ...]
    history: tuple[JsonObject, ...]
    raw: JsonObject

    @property
    def runtime(self) -> JsonObject:
        """The ``config`` object: Env, Cmd, User and so on."""
        return get_object(self.raw, "config", where="config")

    def to_bytes(self) -> bytes:
        """Return the configuration as compact JSON, keys in the order of the specification."""
        return to_bytes(self.raw)


def parse_config(content: bytes, *, where: str) -> ImageConfig:
    """Return the configuration that ``content`` holds.

    Raises ImageError, beginning with ``where``, for what the specification
    does not allow and for another system than Linux. Optional keys may be null.
    """
    return config_of(parse_object(content, where=where), where=where)


def config_of(raw: JsonObject, *, where: str) -> ImageConfig:
    """Return the configuration that the object ``raw`` is, checked."""
    runtime = get_object(raw, "config", where=where)
    for document in (raw, runtime, get_object(raw, "rootfs", where=where)):
        refuse_twins(document, where=where)
    check_runtime(runtime, where=f"{where}: config")
    get_text(raw, "author", where=where)
    return ImageConfig(
        architecture=get_text(raw, "architecture", where=where),
        os=_linux(get_text(raw, "os", where=where), where=where),
        variant=get_text(raw, "variant", where=where),
        created=get_text(raw, "created", where=where),
        env=get_texts(runtime, "Env", where=f"{where}: config"),
        diff_ids=_diff_ids(raw, where=where),
        history=parse_history(raw, where=where),
        raw=raw,
    )


def ordered_config(raw: Mapping[str, object]) -> JsonObject:
    """Return ``raw`` with the keys of all its objects in the order of the specification.

    Keys that the specification does not have follow in the order they came in.
    """
    ordered = _ordered(raw, KEY_ORDER)
    ordered["config"] = _ordered(get_object(raw, "config", where="config"), RUNTIME_KEY_ORDER)
    ordered["rootfs"] = _ordered(get_object(raw, "rootfs", where="config"), ("type", "diff_ids"))
    ordered["history"] = [ordered_entry(entry) for entry in parse_history(raw, where="config")]
    return ordered


def check_runtime(runtime: Mapping[str, object], *, where: str) -> None:
    """Raise ImageError unless the keys of a ``config`` object have the types of the spec."""
    for key in ("Env", "Entrypoint", "Cmd"):
        _refuse_nul("".join(get_texts(runtime, key, where=where)), where=f"{where}: {key}")
    if any(entry.startswith("=") for entry in get_texts(runtime, "Env", where=where)):
        raise ImageError(f"read image: {where}: Env: a value without a name")
    for key in ("ExposedPorts", "Volumes"):
        get_object(runtime, key, where=where)
    labels = get_object(runtime, "Labels", where=where)
    for label in labels:
        get_text(labels, label, where=f"{where}: Labels")
    for key in ("User", "WorkingDir", "StopSignal"):
        _refuse_nul(get_text(runtime, key, where=where), where=f"{where}: {key}")


def _refuse_nul(text: str, *, where: str) -> None:
    if "\0" in text:  # ends a string to the kernel: two readers would see two values
        raise ImageError(f"read image: {where}: has a NUL")


def _linux(system: str, *, where: str) -> str:
    if system not in ("", "linux"):
        raise ImageError(f"read image: {where}: os: want linux, got {system!r:.100}")
    return "linux"


def _diff_ids(raw: JsonObject, *, where: str) -> tuple[Digest, ...]:
    if raw.get("rootfs") is None:
        raise ImageError(f"read image: {where}: no rootfs")
    rootfs = get_object(raw, "rootfs", where=where)
    kind = get_text(rootfs, "type", where=f"{where}: rootfs")
    if kind != "layers":
        raise ImageError(f"read image: {where}: rootfs: unknown type {kind!r:.100}")
    diff_ids = get_list(rootfs, "diff_ids", where=f"{where}: rootfs")
    check_layer_count(diff_ids, where=where)
    return tuple(parse_digest(value, where=f"{where}: rootfs: diff_ids") for value in diff_ids)


def _ordered(document: Mapping[str, object], order: tuple[str, ...]) -> JsonObject:
    known = {key: document[key] for key in order if key in document}
    return known | {key: value for key, value in document.items() if key not in known}
