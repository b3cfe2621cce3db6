"""rootrun and its peers on the same scripts: the time, and what is wrong in the result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.owners import Entries, Wrong, compare, entries_of_tar, with_layer
from benchmarks.peers import Peer, Tried, peers, try_peer
from benchmarks.place import MODES, Place
from benchmarks.timing import in_turns, last_line, median

_FLOOR = "subids"
_COLUMNS = ("owners", "modes", "devices", "absent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A script, and what its result is measured by."""

    title: str
    script: str
    packages: Sequence[str] = ()
    makes_devices: bool = False  # which nobody may in a user namespace, real ids or not
    repeat: int


def report_peers(place: Place, jobs: Sequence[Job], *, ch_run: str) -> None:
    """Print a table for each job; what is wrong is so beside the first run with real ids."""
    with place.debian.open("rb") as reader:
        base = entries_of_tar(reader)
    present = []
    for peer in peers(ch_run):
        why_not = peer.why_not()
        if why_not:
            print(f"\n{peer.name} is passed over: {why_not}")
        else:
            present.append(peer)
    for job in jobs:
        _report(place, base, job, present)


def _report(place: Place, base: Entries, job: Job, present: Sequence[Peer]) -> None:
    tries: dict[str, Callable[[], Tried]] = {
        mode: partial(_try_rootrun, place, base, job, mode) for mode in MODES
    }
    packages = " ".join(job.packages)
    text = f"PACKAGES='{packages}'\n{(place.scripts / job.script).read_text()}"
    tries |= {peer.name: partial(try_peer, peer, place, text) for peer in present}
    results = in_turns(tries, repeat=job.repeat)
    expected = results[_FLOOR][0].entries
    floor_s = median([tried.run.wall_s for tried in results[_FLOOR]])
    print(f"\n{job.title:30} {'wall s':>8} {'ratio':>6}", *(f"{name:>8}" for name in _COLUMNS))
    for name, tried in results.items():
        wall_s = median([one.run.wall_s for one in tried])
        wrong = shown(compare(expected, tried[-1].entries))
        failed = failure(tried[-1])
        name_shown = f"rootrun, {name}" if name in MODES else name
        print(f"{name_shown:30} {wall_s:8.2f} {wall_s / floor_s:6.2f} {wrong}{failed}", flush=True)


def _try_rootrun(place: Place, base: Entries, job: Job, mode: str) -> Tried:
    helped = "full" if job.makes_devices and mode == _FLOOR else ""
    packages = ("--env", f"PACKAGES={' '.join(job.packages)}")
    run = place.run(mode, job.script, *packages, emulate=helped)
    with place.layer_of(run).open("rb") as reader:
        return Tried(run=run, entries=with_layer(base, entries_of_tar(reader)))


def shown(wrong: Wrong) -> str:
    """Return the numbers under the columns of the table."""
    numbers = (wrong.owners, wrong.modes, wrong.devices, wrong.absent)
    return " ".join(f"{number:8}" for number in numbers)


def failure(tried: Tried) -> str:
    """Return how the script ended, where that was not well."""
    if tried.run.status == 0:
        return ""
    return f"  status {tried.run.status}: {last_line(tried.run.stderr)}"
