"""What a run made, told to programs: standard output and the files of the result."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from rootrun.cli.stdout import write_out
from rootrun.errors import OutputError
from rootrun.result import RunResult


def print_result(
    result: RunResult, *, as_json: bool, timings: Mapping[str, object] | None = None
) -> None:
    """Print the image id, or the object of ``--json``, and nothing else."""
    write_out(f"{compact(to_json(result, timings)) if as_json else result.image_id}\n")


def to_json(result: RunResult, timings: Mapping[str, object] | None = None) -> Mapping[str, object]:
    """Return the object of ``--json``. Its keys are an interface: add, never rename."""
    usage = result.usage
    return {
        "imageId": result.image_id,
        "imageName": result.name,
        "imageTag": result.tag,
        "manifestDigest": result.manifest_digest,
        "layers": [
            {
                "diffId": layer.diff_id,
                "digest": layer.digest,
                "sizeBytes": layer.size_bytes,
                "entries": layer.entry_count,
                "cached": layer.is_cached,
            }
            for layer in result.layers
        ],
        "base": {"imageId": result.base_image_id, "layers": result.base_layer_count},
        **path_to_json("output", result.output),
        "idMap": result.id_map,
        "rootfs": result.rootfs,
        "usage": {
            "wallSeconds": round(usage.wall_s, 3),
            "cpuSeconds": round(usage.cpu_s, 3),
            "peakMemoryBytes": usage.peak_memory_bytes,
            "processes": usage.process_count,
        },
        **({} if timings is None else {"timings": timings}),
    }


def path_to_json(key: str, path: Path) -> dict[str, object]:
    """Return ``path`` under ``key``, and in base64 as well where JSON cannot hold it."""
    raw = os.fsencode(path)
    text = raw.decode("utf-8", "replace")
    if text.encode() == raw:
        return {key: text}
    from base64 import b64encode

    return {key: text, f"{key}B64": b64encode(raw).decode()}


def compact(value: object) -> str:
    """Return JSON as rootrun writes it."""
    return json.dumps(value, separators=(",", ":"))


def write_result_files(
    result: RunResult,
    *,
    iidfile: Path | None,
    digestfile: Path | None,
    metadata_file: Path | None,
) -> None:
    """Write the files that were asked for, as buildah(1) and buildctl do.

    The first two hold the bare digest, without a newline.
    """
    if iidfile:
        _write("--iidfile", iidfile, result.image_id)
    if digestfile and result.manifest_digest:
        _write("--digestfile", digestfile, result.manifest_digest)
    if metadata_file:
        _write("--metadata-file", metadata_file, compact(_metadata(result)) + "\n")


def _metadata(result: RunResult) -> Mapping[str, object]:
    manifest = {"containerimage.digest": result.manifest_digest} if result.manifest_digest else {}
    return {
        **manifest,
        "containerimage.config.digest": result.image_id,
        "image.name": f"{result.name}:{result.tag}",
    }


def _write(option: str, path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{option}: {os.fspath(path)!r}: {error.strerror}") from error
