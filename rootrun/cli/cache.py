"""``rootrun cache``: list, verify and prune the layers in the cache."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from rootrun.cli.parser import Options
from rootrun.cli.progress import size
from rootrun.cli.report import compact
from rootrun.cli.stdout import write_out
from rootrun.errors import UsageError
from rootrun.places import cache_directory
from rootrun.store.maintenance import CachedLayer, list_entries, prune_entries, verify_entries

EXIT_DAMAGED = 1
_STEP = "(step)"  # packed, and of no id map
_COMPRESSED = "(compressed)"
_SHOWN_DIGITS = len("sha256:") + 12


def run_cache(options: Options) -> int:
    """Do what ``options.action`` says; the status is 1 if verifying found damage."""
    directory = cache_directory(options.cache_dir)
    if directory is None:
        raise UsageError("cache: no home directory to keep one in", hint="name it by --cache-dir")
    _check_directory(options, directory)
    entries = _entries(options, directory)
    if options.json:
        layers = [_to_json(entry) for entry in entries if entry.id_map is not None]
        packed = [entry for entry in entries if entry.id_map is None]
        steps = [_to_json(entry) for entry in packed if entry.is_step]
        compressed = [_to_json(entry) for entry in packed if not entry.is_step]
        parts = {"layers": layers, "steps": steps, "compressed": compressed}
        write_out(compact(parts) + "\n")
    else:
        _print_table(entries)
    is_damaged = options.action == "verify" and any(entry.problem for entry in entries)
    return EXIT_DAMAGED if is_damaged else 0


def _check_directory(options: Options, directory: Path) -> None:
    """Refuse what is no directory, and a misspelt ``--cache-dir``; else none is an empty cache."""
    if directory.is_dir() or not (options.cache_dir or os.path.lexists(directory)):
        return
    why = "Not a directory" if directory.exists() else "No such file or directory"
    named = options.cache_dir or directory
    raise UsageError(f"cache: {os.fspath(named)!r}: {why}")


def _entries(options: Options, directory: Path) -> list[CachedLayer]:
    if options.action == "list":
        return list_entries(directory)
    if not directory.is_dir():
        return []
    # The trees belong to ids that only the namespaces have in which they were made.
    from rootrun.sandbox.idmap import IdMapKind
    from rootrun.sandbox.idmap_choice import choose_id_map
    from rootrun.sandbox.userns import enter_namespaces

    id_map = enter_namespaces(choose_id_map("auto"))
    if options.action == "verify":
        # The one id of the single map is 0 in each.
        return list(verify_entries(directory, id_maps=(id_map.key, IdMapKind.SINGLE.value)))
    return prune_entries(directory, unused_for_s=options.unused_for or 0)


def _print_table(entries: Iterable[CachedLayer]) -> None:
    total_bytes = 0
    lines = [f"{'SIZE':>10} {'ENTRIES':>8}  {'LAST USED':16}  {'LAYER':19}  IDS"]
    for entry in entries:
        total_bytes += entry.size_bytes
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.last_used_s))
        problem = f"  {entry.problem}" if entry.problem else ""
        ids = entry.id_map or (_STEP if entry.is_step else _COMPRESSED)
        lines.append(
            f"{size(entry.size_bytes):>10} {entry.entry_count:>8}  {used}"
            f"  {entry.diff_id[:_SHOWN_DIGITS]:{_SHOWN_DIGITS}}  {ids}{problem}"
        )
    lines.append(f"{size(total_bytes):>10} in all")
    write_out("".join(f"{line}\n" for line in lines))


def _to_json(entry: CachedLayer) -> dict[str, object]:
    id_map = {} if entry.id_map is None else {"idMap": entry.id_map}
    return {
        "diffId": entry.diff_id,
        **id_map,
        "sizeBytes": entry.size_bytes,
        "entries": entry.entry_count,
        "lastUsed": int(entry.last_used_s),
        "trusted": entry.is_trusted,
        "problem": entry.problem,
    }
