"""The same script as a user with subordinate ids and as one without: the layers must be equal."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.programs.difference import difference
from tests.support.workplace import Workplace

SCRIPTS = Path(__file__).parent / "scripts"
LAYOUT = "images"
_FULL = ("--emulate", "full")
_OFF = ("--emulate", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two workplaces, each with a layout of images: ``debian``, and ``tools`` with programs."""

    many: Workplace
    lone: Workplace

    def assert_same_layer(
        self, name: str, *args: str, base: str = "tools", helped: bool = False
    ) -> bytes:
        """Run ``scripts/NAME.sh`` as both, and return the layer that both must give.

        The kernel is the judge, with ids enough. But it lets nobody make devices, so that both
        have to be ``helped`` in a script that does.
        """
        many = _FULL if helped else _OFF
        expected, found = self.layers(name, *args, base=base, many=many, lone=_FULL)
        differing = difference(expected, found)
        assert not differing, f"{name}:\n{differing}"
        return found

    def layers(
        self,
        name: str,
        *args: str,
        base: str,
        many: tuple[str, ...] = _OFF,
        lone: tuple[str, ...],
    ) -> tuple[bytes, bytes]:
        """Run ``scripts/NAME.sh`` as both, with options of each, and return the two layers."""
        script = SCRIPTS / f"{name}.sh"
        with ThreadPoolExecutor() as both:
            with_many = both.submit(layer_of, self.many, script, *args, *many, base=base)
            alone = both.submit(layer_of, self.lone, script, *args, *lone, base=base)
        return with_many.result(), alone.result()


def layer_of(place: Workplace, script: Path, *args: str, base: str) -> bytes:
    """Run ``script`` in an image of the layout of ``place``, and return the new layer.

    The output joins the layout, so that nothing of the base is copied.
    """
    own = place.write(script.name, script.read_text())
    images = ("--from", f"oci:{LAYOUT}:{base}", "-o", f"oci:{LAYOUT}:{script.stem}")
    done = place.run(*images, "--script", own, "--owner", "keep", "--json", *args)
    assert done.returncode == 0, done.stderr.decode()
    digest = str(json.loads(done.stdout)["layers"][-1]["digest"]).removeprefix("sha256:")
    return (place.path / LAYOUT / "blobs/sha256" / digest).read_bytes()
