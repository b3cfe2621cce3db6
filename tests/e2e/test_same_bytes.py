"""The same inputs give the same bytes: for every caller, in every environment."""

import hashlib
from pathlib import Path

import pytest

from tests.support.images import assert_image_valid, oci_layout
from tests.support.tarball import directory, file, hardlink, symlink, tarball
from tests.support.users import Account
from tests.support.workplace import Workplace, busybox_layer, layers_of

pytestmark = pytest.mark.userns

SCRIPT = """\
mkdir -p /srv/data /srv/empty
for n in 3 1 2 10; do echo "$n" > /srv/data/$n; done
ln -s data /srv/link
ln /srv/data/1 /srv/hard
mkfifo /srv/pipe
chmod 4755 /srv/data/2
rm -r /opt
mv /usr/share /usr/moved
umask > /srv/umask
env | sort > /srv/env
id > /srv/id
"""
LAYER = tarball(
    directory("opt"),
    file("opt/x"),
    directory("usr"),
    directory("usr/share", mode=0o2755),
    file("usr/share/doc", b"text", mode=0o4755),
    hardlink("usr/share/other", "usr/share/doc"),
    symlink("usr/share/l", "doc"),
)
ENVIRONMENTS = [
    {},
    {"TZ": "Asia/Kathmandu", "LANG": "C", "LC_ALL": "POSIX"},
    {"LANG": "de_DE.ISO-8859-1", "PYTHONHASHSEED": "7", "SECRET": "x"},
]


def sha256(path: Path) -> str:
    """Return the digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_ac48_root_subids_and_single_give_the_same_file(
    root_workplace: Workplace, workplace: Workplace, lone_workplace: Workplace
) -> None:
    digests = set()
    for place in (root_workplace, workplace, lone_workplace):
        base = place.base("base.tar", busybox_layer(), LAYER)
        output = place.build(SCRIPT, base=base)
        assert_image_valid(output)
        digests.add(sha256(output))
    assert len(digests) == 1


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=["plain", "posix", "latin"])
def test_ac48_the_environment_does_not_matter(
    environment: dict[str, str], workplace: Workplace
) -> None:
    base = workplace.base("base.tar", busybox_layer(), LAYER)
    plain = sha256(workplace.build(SCRIPT, base=base))
    (workplace.path / "tmp").mkdir()
    workplace.own(workplace.path / "tmp")
    env = {
        **environment,
        "TMPDIR": f"{workplace.path}/tmp",
        "XDG_CACHE_HOME": f"{workplace.path}/cache",
        "HOME": f"{workplace.path}",
    }
    again = workplace.build(SCRIPT, base=base, output="again.tar", env=env)
    assert sha256(again) == plain


def test_ac48_the_umask_does_not_matter(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), LAYER)
    digests = set()
    for umask in ("000", "022", "077"):
        workplace.write("setup.sh", SCRIPT)
        done = workplace.shell(
            f"umask {umask}; exec rootrun --from {base.name} --script setup.sh -o {umask}.tar"
            f" --cache-dir cache-{umask}"
        )
        assert done.returncode == 0, done.stderr.decode()
        digests.add(sha256(workplace.path / f"{umask}.tar"))
    assert len(digests) == 1


def test_a_cold_cache_a_warm_one_and_none_give_the_same_file(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), LAYER)
    runs = [
        workplace.build(SCRIPT, *args, base=base, output=name)
        for name, args in (
            ("cold.tar", ("--cache-dir", "c")),
            ("warm.tar", ("--cache-dir", "c")),
            ("none.tar", ("--no-cache",)),
        )
    ]
    assert len({sha256(path) for path in runs}) == 1


def test_ac19_two_images_on_one_base_share_its_layers_and_equal_changes(
    workplace: Workplace, public_path: Path
) -> None:
    base = workplace.base("base.tar", busybox_layer(), LAYER)
    other = oci_layout(workplace.path / "other", [busybox_layer(), LAYER], image={"author": "x"})
    one = workplace.build(SCRIPT, base=base, output="one.tar")
    two = workplace.build(SCRIPT, base=other, output="two.tar")
    assert layers_of(one) == layers_of(two)
    assert sha256(one) != sha256(two)


def test_timestamp_and_source_date_epoch_set_every_time(workplace: Workplace) -> None:
    base = workplace.base()
    by_option = workplace.build("echo > /x\n", "--timestamp", "1234", base=base, output="1.tar")
    by_epoch = workplace.build(
        "echo > /x\n", base=base, output="2.tar", env={"SOURCE_DATE_EPOCH": "1234"}
    )
    assert layers_of(by_option) == layers_of(by_epoch)
    assert layers_of(by_option) != layers_of(workplace.build("echo > /x\n", base=base))


def test_two_accounts_do_not_share_a_cache_by_accident(workplace: Workplace, lone: Account) -> None:
    workplace.build("echo > /x\n", "--cache-dir", "cache")
    workplace.path.chmod(0o777)
    stranger = Workplace(path=workplace.path, account=lone)
    stranger.write("setup.sh", "echo > /x\n")
    done = stranger.run(
        *("--from", "base.tar", "--script", "setup.sh", "-o", "stranger.tar"),
        *("--cache-dir", "cache"),
    )
    assert done.returncode == 0
    assert b"passing over the cache" in done.stderr
    assert sha256(workplace.path / "stranger.tar") == sha256(workplace.path / "out.tar")
