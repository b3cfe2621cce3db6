"""Containers in the container: what makes them is not denied, and rootrun runs in rootrun."""

from pathlib import Path

import pytest

from tests.support.program import installation
from tests.support.tarball import directory, symlink, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of, top_layer

pytestmark = pytest.mark.userns

# The machine's Python, on a base of links into its own /usr; and what rootrun needs of /etc.
USR = (symlink("lib", "usr/lib"), symlink("lib64", "usr/lib64"), directory("usr"))
MOUNTS = """\
exec > /said
/usr/bin/unshare -Urmpiunf /bin/sh -ec '
  mount -t tmpfs t /mnt; mkdir /mnt/l /mnt/u /mnt/w /mnt/m; echo low > /mnt/l/f
  mount -t overlay -o userxattr,lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w o /mnt/m
  echo up > /mnt/m/f; cat /mnt/l/f /mnt/u/f; mount --bind /mnt/u /mnt/w; cat /mnt/w/f
  hostname inner; hostname; id -u; echo $$'
hostname
"""


def base_of_usr(place: Workplace) -> Path:
    """Write a base whose programs, but for busybox, are those of the machine."""
    return place.base("base.tar", busybox_layer(), tarball(*USR, directory("mnt")))


def test_namespaces_and_mounts_can_be_made_inside(any_workplace: Workplace) -> None:
    base = base_of_usr(any_workplace)
    output = any_workplace.build(MOUNTS, "--bind", "/usr:/usr:ro", base=base)
    said = content_of(output, "said").decode().split()
    assert said == ["low", "up", "up", "inner", "0", "1", "rootrun"]
    assert list(top_layer(output)) == ["said"]


def test_what_is_mounted_inside_is_never_packed_and_the_base_below_is_unchanged(
    any_workplace: Workplace,
) -> None:
    script = """\
mount -t tmpfs t /etc; echo mine > /etc/passwd; echo > /etc/new
mkdir /a /b; echo a > /a/f; mount -o bind /a /b; echo b > /b/g; cat /etc/passwd /b/f > /said
"""
    output = any_workplace.build(script)
    assert content_of(output, "said") == b"mine\na\n"
    assert list(top_layer(output)) == ["a/", "a/f", "a/g", "b/", "said"]


def test_rootrun_runs_in_rootrun(any_workplace: Workplace) -> None:
    base = base_of_usr(any_workplace)
    any_workplace.write("inner.sh", "echo inner > /inner; chown 7:8 /inner; id -u > /said\n")
    program = installation()
    outer = f"""\
cd /mnt; export HOME=/tmp
{program}/bin/rootrun --from base.tar --script inner.sh -o /inner.tar --owner keep --tmpdir /dev/shm
"""
    binds = ("/usr:/usr:ro", f"{program}:{program}:ro", f"{any_workplace.path}:/mnt:ro")
    options = [word for bind in binds for word in ("--bind", bind)]
    output = any_workplace.build(outer, *options, base=base)
    inner = any_workplace.write("inner.tar", content_of(output, "inner.tar"))
    assert content_of(inner, "said") == b"0\n"
    owner = top_layer(inner)["inner"]
    # With one id the outer one answers calls already, so that the inner one feigns the rest.
    is_lone = any_workplace.account is not None and not any_workplace.account.subids
    assert (owner.uid, owner.gid) == ((0, 0) if is_lone else (7, 8))
