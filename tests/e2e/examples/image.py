"""The image of the examples, made once: a Debian with the services that they test."""

import fcntl
import hashlib
import shutil
from pathlib import Path

from tests.e2e.programs.images import own_tree
from tests.e2e.programs.pair import LAYOUT, layer_of
from tests.support.debian import debian_rootfs
from tests.support.images import oci_layout
from tests.support.packages import EXAMPLES, offline_options, package_repository
from tests.support.users import Account
from tests.support.workplace import Workplace

MACHINES = Path(__file__).parents[3] / "examples" / "machines"
SERVICES = "services"  # the tag

_INSTALL = MACHINES / "install.sh"
# What nothing here reads or runs is most of what would be installed.
_PRELUDE = """
export APT_CONFIG=/repo/apt.conf
for unread in lib/llvm lib/*-linux-gnu/libLLVM lib/*-linux-gnu/libz3 share/doc share/i18n \\
    share/locale share/man; do
    echo "path-exclude=/usr/$unread*"
done > /etc/dpkg/dpkg.cfg.d/unread
"""


def services_image(maker: Account) -> Path:
    """Return a layout of SERVICES, from build/ if it was made before.

    It is made by a run of ``maker``, who has subordinate ids.
    """
    repository = package_repository(EXAMPLES)
    script = _PRELUDE + _INSTALL.read_text() + "rm -rf /var/lib/apt/lists/*\n"
    recipe = f"{repository.name} {script}"
    layout = repository.with_name(f"examples-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}")
    with (repository.parent / ".examples-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest-xdist runs several sessions at once
        if not layout.exists():
            place = Workplace(path=maker.new_directory(), account=maker)
            packages = Path(shutil.copytree(repository, place.path / "packages"))
            base = [debian_rootfs().read_bytes()]
            oci_layout(place.path / LAYOUT, base, ref="debian", compression="zstd")
            own_tree(place.path / LAYOUT, maker)
            options = (*offline_options(packages), "--compression", "zstd")
            layer_of(place, place.write(f"{SERVICES}.sh", script), *options, base="debian")
            shutil.copytree(place.path / LAYOUT, layout)
            shutil.rmtree(place.path)
    return layout
