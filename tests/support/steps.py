"""Scripts that are run again and again with ``--step-cache``, in one workplace."""

import json
import re
import subprocess
from pathlib import Path

from tests.support.tarball import file
from tests.support.workplace import Workplace, busybox_layer

# What these leave shows whether they ran: it is another each time.
ONE = "mkdir -p /one; cat /proc/sys/kernel/random/uuid > /one/ran; chown 12:34 /one/ran\n"
TWO = "mkdir /two; cat /one/ran /proc/sys/kernel/random/uuid > /two/ran; rm /bin/yes\n"
HARMLESS = "echo 1 > /tmp/x\n"  # always leaves the same
SCRIPTS = {"one.sh": ONE, "two.sh": TWO}


class Steps:
    """Scripts that are run again and again in one workplace, with one cache of steps."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        place.base("base.tar", busybox_layer(file("bin/yes")))

    def run(
        self, *args: str | Path, scripts: dict[str, str] | None = None, output: str = "out.tar"
    ) -> tuple[subprocess.CompletedProcess[bytes], list[bool]]:
        """Run the scripts, which must work; say of each layer whether it was taken."""
        options: list[str] = []
        for name, content in (SCRIPTS if scripts is None else scripts).items():
            self.place.write(name, content)
            options += ["--script", name]
        given = ("--from", "base.tar", *options, "-o", output, "--cache-dir", "cache")
        done = self.place.run(*given, "--step-cache", "--json", *self.place.options, *args)
        assert done.returncode == 0, done.stderr.decode()
        return done, [layer["cached"] for layer in json.loads(done.stdout)["layers"]]

    def taken(self, *args: str | Path, scripts: dict[str, str] | None = None) -> list[bool]:
        """Run the scripts; say of each layer whether it was taken."""
        return self.run(*args, scripts=scripts)[1]

    def reason(self, *args: str | Path, scripts: dict[str, str] | None = None) -> list[str]:
        """Run the scripts; return what -v tells of the cache of steps."""
        done, _ = self.run("-v", *args, scripts=scripts)
        return re.findall(r"^rootrun: step cache: (.*)$", done.stderr.decode(), re.MULTILINE)

    @property
    def image(self) -> Path:
        """The image that was made."""
        return self.place.path / "out.tar"

    def entries(self) -> list[Path]:
        """Return the entries of the cache of steps."""
        return sorted((self.place.path / "cache" / "steps-1").iterdir())
