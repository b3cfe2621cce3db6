"""The directory of a process in /proc belongs to who the process is, as with real ids."""

import pytest

from tests.support.workplace import Workplace, content_of

pytestmark = pytest.mark.userns

_SCRIPT = """
su app -c 'sleep 600 & echo $! > /tmp/pid; exec sleep 600' >/dev/null 2>&1 &
while ! test -s /tmp/pid; do sleep 0.01; done
pid=$(cat /tmp/pid)
shown() { echo "$*" $("$@" 2>&1) | sed "s/$pid/PID/g" >> /said; }
owner='stat -c %U:%G:%A'
shown $owner /proc/$pid
shown $owner -L /proc/$pid
shown $owner /proc/$pid/task/$pid
shown $owner -L /proc/$pid/.
shown find /proc/$pid -maxdepth 0 -user app -group app
cd /proc
shown $owner $pid
shown $owner -L $pid
shown $owner $pid/task/../.
shown $owner /proc/1
sleep 600 &
shown $owner /proc/$!/
kill $pid
mkdir -p /srv/$pid/limits
shown $owner /srv/$pid
"""


def _said(place: Workplace) -> list[str]:
    lines = content_of(place.build(_SCRIPT), "said").decode().splitlines()
    return [line.rpartition(" ")[2] for line in lines]


def test_process_belongs_to_whom_it_became(any_workplace: Workplace) -> None:
    of_app, of_root = ["app:app:dr-xr-xr-x"], ["root:root:dr-xr-xr-x"]
    assert _said(any_workplace) == [
        *of_app * 4,
        "/proc/PID",
        *of_app * 3,
        *of_root * 2,
        "root:root:drwxr-xr-x",
    ]
