"""The configuration of the new image, made of the base's and the user's edits."""

from collections.abc import Iterable, Mapping, Sequence

from rootrun.errors import ImageError, UsageError
from rootrun.image.config import ImageConfig, check_runtime, config_of, ordered_config
from rootrun.image.digest import Digest
from rootrun.image.document import JsonObject, get_object, get_texts
from rootrun.image.edits import ConfigEdits
from rootrun.image.history import append_steps, repair_history
from rootrun.image.platform import machine_platform, parse_platform

_LEFTOVERS = frozenset(
    {
        "id",  # of the first format: they name the layer that the document once described
        "parent",
        "parent_id",
        "layer_id",
        "Size",
        "checksum",
        "throwaway",
        "container",  # of docker build: the container that made the base
        "container_config",
        "docker_version",
        "preferLocalBuild",  # of dockerTools: no key of images at all
    }
)


def derive_config(
    base: ImageConfig | None,
    *,
    architecture: str | None,
    diff_ids: tuple[Digest, ...],
    edits: ConfigEdits,
    created: str,
    created_by: Sequence[str],
) -> ImageConfig:
    """Return the configuration of an image with the layers ``diff_ids`` on top of ``base``.

    ``architecture`` is as ``parse_platform`` takes it, None for the base's,
    else the machine's. The base is inherited whole. The history has an entry more
    for each of ``created_by``: of the new layers, or empty ones if there are none.
    With ``edits.env_alone`` it is one of dates, and of the base the platform is left, and ``Env``.
    """
    if edits.env_alone:
        base = _env_alone(base or scratch_config(architecture), created=created)
        created_by = [""] * len(created_by)
    raw: JsonObject = {k: v for k, v in (base.raw if base else {}).items() if k not in _LEFTOVERS}
    base_count = len(base.diff_ids) if base else 0
    history = repair_history(base.history if base else (), layer_count=base_count, created=created)
    raw |= _platform_keys(base, architecture)
    raw["created"] = created
    raw["config"] = edited_runtime(base.runtime if base else {}, edits)
    raw["rootfs"] = {"type": "layers", "diff_ids": list(diff_ids)}
    has_layers = len(diff_ids) > base_count
    raw["history"] = [
        *append_steps(history, created=created, created_by=created_by, has_layers=has_layers)
    ]
    return _checked(raw, where="new image: config")


def scratch_config(architecture: str | None = None) -> ImageConfig:
    """Return the configuration of an image without layers, for ``architecture``."""
    raw: JsonObject = {
        **_platform_keys(None, architecture),
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [],
    }
    return _checked(raw, where="scratch")


def _env_alone(base: ImageConfig, *, created: str) -> ImageConfig:
    platform: JsonObject = {
        key: base.raw[key] for key in ("architecture", "variant") if key in base.raw
    }
    raw: JsonObject = {
        **platform,
        "config": {"Env": list(base.env)},
        "rootfs": base.raw["rootfs"],
        "history": [{"created": created} for _ in base.diff_ids],
    }
    return _checked(raw, where="base")


def edited_runtime(runtime: Mapping[str, object], edits: ConfigEdits) -> JsonObject:
    """Return the ``config`` object ``runtime`` after ``edits``; raise UsageError for bad ones."""
    try:
        check_runtime(edits.merge, where="config")
    except ImageError as error:
        reason = str(error).partition(": ")[2]
        raise UsageError(f"edit image: {reason}") from error
    edited: JsonObject = dict(runtime)
    for key, value in edits.merge.items():
        if value is None:
            edited.pop(key, None)  # as a JSON merge patch says it (RFC 7396)
        elif key != "Env":
            edited[key] = value
    env = _merged_env(runtime, edits)
    if env:
        edited["Env"] = list(env)
    edited |= _given(edits)
    for key, names in _name_sets(edits):
        if names:
            edited[key] = get_object(edited, key, where="config") | names
    return edited


def merge_env(*entries: Iterable[str]) -> tuple[str, ...]:
    """Return ``KEY=VALUE`` entries merged: one a key, its last value, its first place.

    Kubernetes promises nothing for keys that occur twice.
    """
    merged: dict[str, str] = {}
    for entry in (entry for some in entries for entry in some):
        merged[entry.partition("=")[0]] = entry
    return tuple(merged.values())


def _merged_env(runtime: Mapping[str, object], edits: ConfigEdits) -> tuple[str, ...]:
    forgotten = "Env" in edits.merge and edits.merge["Env"] is None
    inherited = () if forgotten else get_texts(runtime, "Env", where="config")
    added = get_texts(edits.merge, "Env", where="config")
    return merge_env(inherited, added, (f"{key}={value}" for key, value in edits.env))


def _given(edits: ConfigEdits) -> JsonObject:
    values: JsonObject = {
        "Cmd": None if edits.command is None else list(edits.command),
        "Entrypoint": None if edits.entrypoint is None else list(edits.entrypoint),
        "WorkingDir": edits.working_directory,
        "User": edits.user,
    }
    return {key: value for key, value in values.items() if value is not None}


def _name_sets(edits: ConfigEdits) -> tuple[tuple[str, JsonObject], ...]:
    ports: JsonObject = {port if "/" in port else f"{port}/tcp": {} for port in edits.exposed_ports}
    volumes: JsonObject = {volume: {} for volume in edits.volumes}
    labels: JsonObject = dict(edits.labels)
    return (("ExposedPorts", ports), ("Volumes", volumes), ("Labels", labels))


def _checked(raw: JsonObject, *, where: str) -> ImageConfig:
    if not raw.get("variant"):
        raw.pop("variant", None)  # dockerTools writes an empty one
    return config_of(ordered_config(raw), where=where)


def _platform_keys(base: ImageConfig | None, architecture: str | None) -> JsonObject:
    if architecture is None and base is not None and base.architecture:
        return {"architecture": base.architecture, "os": "linux"}
    platform = parse_platform(architecture) if architecture else machine_platform()
    same = base is not None and not platform.variant and base.architecture == platform.architecture
    keys: JsonObject = {"architecture": platform.architecture, "os": "linux"}
    return keys if same else keys | {"variant": platform.variant}
