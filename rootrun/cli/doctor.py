"""``rootrun doctor``: what this machine allows, what will be used, how to get the rest."""

from collections.abc import Sequence
from pathlib import Path

from rootrun.cli.report import compact
from rootrun.cli.stdout import write_out
from rootrun.errors import EXIT_ROOTRUN_FAILED
from rootrun.sandbox.idmap import IdMap, IdMapKind
from rootrun.sandbox.probe import Finding, Need, chosen_id_map, probe_machine, surroundings

_DISK, _TMPFS = "overlay, scratch", "overlay, tmpfs"
_FOR_MANY_IDS = ("id map root", "id map subids", "newuidmap", "newgidmap")


def report(cache_dir: Path, scratch_parent: Path, as_json: bool) -> int:
    """Print the report on stdout and return 0, or 125 if no run can work here."""
    findings = probe_machine(cache_dir, scratch_parent)
    id_map = chosen_id_map()
    works = can_work(findings)
    facts = surroundings()
    if as_json:
        text = compact(_to_json(findings, facts, id_map=id_map, works=works))
    else:
        text = "\n".join(_lines(findings, facts, id_map=id_map, works=works))
    write_out(f"{text}\n")
    return 0 if works else EXIT_ROOTRUN_FAILED


def can_work(findings: Sequence[Finding]) -> bool:
    """Say whether what was found is enough for a run."""
    return all(finding.is_there for finding in findings if finding.need is Need.MUST)


def _lines(
    findings: Sequence[Finding], facts: dict[str, str], *, id_map: IdMap | None, works: bool
) -> list[str]:
    rows = [(name, value, "") for name, value in facts.items()]
    rows += [(f.name, "yes" if f.is_there else "no", f.detail) for f in findings]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name:{width}}  {value:3}  {detail}".rstrip() for name, value, detail in rows]
    lines += ["", *_verdict(findings, id_map=id_map, works=works)]
    hints = _hints(findings, id_map)
    return lines + (["", "To get the rest:", *(f"  {hint}" for hint in hints)] if hints else [])


def _hints(findings: Sequence[Finding], id_map: IdMap | None) -> list[str]:
    """Return how to get what is missing and would be better than what there is."""
    has_many_ids = id_map is not None and id_map.kind is not IdMapKind.SINGLE
    useless = _FOR_MANY_IDS if has_many_ids else ("id map root",)
    missing = [f for f in findings if f.hint and not f.is_there and f.name not in useless]
    return [f"{finding.name}: {finding.hint}" for finding in missing]


def _verdict(findings: Sequence[Finding], *, id_map: IdMap | None, works: bool) -> list[str]:
    if not works or id_map is None:
        return ["rootrun cannot work here."]
    return [
        f"Will be used: id map {id_map.kind.value} ({id_map.reason.partition(': ')[2]}),",
        f"              rootfs {_rootfs(findings)}.",
    ]


def _rootfs(findings: Sequence[Finding]) -> str:
    there = {finding.name for finding in findings if finding.is_there}
    if _DISK in there:
        return "overlay (changes on the scratch disk)"
    return "overlay (changes in memory)" if _TMPFS in there else "copy (of the whole image)"


def _to_json(
    findings: Sequence[Finding], facts: dict[str, str], *, id_map: IdMap | None, works: bool
) -> dict[str, object]:
    return {
        "works": works,
        "idMap": id_map.kind.value if id_map else None,
        "surroundings": facts,
        "findings": [
            {"name": f.name, "isThere": f.is_there, "detail": f.detail, "hint": f.hint}
            for f in findings
        ],
    }
