"""The images that programs are tried in, made once: a Debian, and one with many programs."""

import hashlib
import shutil
from pathlib import Path

from tests.e2e.programs.pair import LAYOUT, SCRIPTS, layer_of
from tests.support.debian import debian_rootfs
from tests.support.images import oci_layout
from tests.support.packages import SERVICES, TOOLS, offline_options, package_repository
from tests.support.users import Account
from tests.support.workplace import Workplace

_TOOLS = SCRIPTS / "tools.sh"


def program_images(maker: Account, repository: Path) -> Path:
    """Return a layout of ``debian`` and ``tools``, from build/ if it was made before.

    ``tools`` is made by a run of ``maker``, who has subordinate ids. The layers are compressed:
    they are copied to each account, and their blobs are read in each session.
    """
    recipe = " ".join([package_repository().name, *SERVICES, *TOOLS, _TOOLS.read_text()])
    layout = package_repository().with_name(
        f"programs-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"
    )
    if not layout.exists():
        place = Workplace(path=maker.new_directory(), account=maker)
        debian = [debian_rootfs().read_bytes()]
        oci_layout(place.path / LAYOUT, debian, ref="debian", compression="zstd")
        own_tree(place.path / LAYOUT, maker)
        options = (*offline_options(repository), "--compression", "zstd")
        packages = f"PACKAGES={' '.join((*SERVICES, *TOOLS))}"
        layer_of(place, _TOOLS, *options, "--env", packages, base="debian")
        shutil.copytree(place.path / LAYOUT, layout)
        shutil.rmtree(place.path)
    return layout


def own_tree(directory: Path, account: Account) -> None:
    """Give ``directory`` and all that is in it to ``account``."""
    for path in (directory, *directory.rglob("*")):
        account.own(path)
