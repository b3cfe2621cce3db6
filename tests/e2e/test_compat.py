"""``--compat dockertools`` against the steps by which dockerTools makes its layers, run here."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.images import assert_image_valid, digest
from tests.support.require import require_program
from tests.support.tarball import directory, file, symlink
from tests.support.workplace import Workplace, busybox_layer, config_of, layers_of, top_layer

pytestmark = pytest.mark.userns

EPOCH = "315532800"  # of stdenv
COMPAT = ("--compat", "dockertools")
# mkPureLayer; cp stands in for rsync, which merges contents, and modes of directories, alike.
PURE = """
umask 022; shopt -s nullglob
mkdir layer
for item in {items}; do cp -a "$item/." layer/; done
chmod ug+w layer
tar -C layer --hard-dereference --sort=name --mtime=@{epoch} --owner=0 --group=0 -cf - .
"""
# mkRootLayer has the same without owners, of the directory with the changes.
ROOT = """
mkdir layer
tar -C layer --same-owner -xpf layer.tar
tar -C layer --hard-dereference --sort=name --mtime=@{epoch} -cf - .
"""


def by_recipe(recipe: str, place: Path, **values: str) -> bytes:
    """Return the layer.tar that the shell of dockerTools' builder makes in ``place``."""
    script = recipe.format(epoch=EPOCH, **values)
    argv: list[str | Path] = [require_program("bash"), "-e", "-c", script]
    return subprocess.run(argv, cwd=place, stdout=subprocess.PIPE, check=True).stdout


def make_items(place: Workplace) -> list[str]:
    """Make two directories of content, as of a store: not to be written, with long names."""
    first, second = place.path / "first", place.path / "second"
    for made in (first / "bin", first / "etc" / ("n" * 120), second / "etc"):
        made.mkdir(parents=True)
    (first / "bin" / "tool").write_bytes(b"tool" * 5000)
    (first / "bin" / "tool").chmod(0o555)
    (first / "bin" / "second-name").hardlink_to(first / "bin" / "tool")
    (first / "etc" / ("n" * 120) / ("f" * 200)).write_text("long")
    (first / "etc" / "dangling").symlink_to("/" + "t" * 150)
    (first / "etc" / "passwd").write_text("of the content")
    (second / "etc" / "passwd").write_text("later")
    (second / os.fsdecode(b"caf\xe9 '\n")).touch()
    os.mkfifo(second / "fifo", 0o640)
    (second / "etc").chmod(0o555)
    (second / "etc" / "passwd").chmod(0o444)
    for path in (first, second, *first.rglob("*"), *second.rglob("*")):
        place.own(path)
    first.chmod(0o755)
    second.chmod(0o555)
    return ["first", "second"]


def made(place: Workplace, *args: str | Path) -> Path:
    """Return the image of a run that must work."""
    environment = {"SOURCE_DATE_EPOCH": EPOCH}
    done = place.run(*COMPAT, *place.options, "-o", "o.tar", *args, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    return place.path / "o.tar"


def copies(items: list[str]) -> list[str]:
    """Return the options that copy ``items``."""
    return [word for item in items for word in ("--copy", item)]


def test_a_pure_layer_has_the_bytes_of_the_recipe(any_workplace: Workplace) -> None:
    items = make_items(any_workplace)
    wanted = by_recipe(PURE, any_workplace.path, items=shlex.join(items))
    base = any_workplace.base("base.tar", busybox_layer(directory("etc/conf", mode=0o700)))
    for options in ((), ("--from", base), ("--from", base, "--check")):
        image = made(any_workplace, *options, *copies(items))
        assert_image_valid(image)
        assert layers_of(image)[-1] == wanted
    assert top_layer(image)["./etc/"].mode == 0o555


def test_a_root_layer_is_what_tar_makes_of_its_files(any_workplace: Workplace) -> None:
    base = any_workplace.base("base.tar", busybox_layer(directory("old/d"), file("old/f")))
    script = f"""
rm -r /old/d; rm /old/f; touch /old/-first /old/z; mkdir -p /new/{"n" * 120}
ln -s {"t" * 150} /new/{"n" * 120}/{"l" * 150}
echo x > /new/owned; ln /new/owned /new/other; chown 123456:234567 /new/owned
chmod 4711 /new/owned; mknod /new/null c 1 3; mkfifo /new/fifo
"""
    any_workplace.write("setup.sh", script)
    image = made(any_workplace, "--from", base, "--script", "setup.sh")
    layer = layers_of(image)[-1]
    place = any_workplace.path / "again"
    place.mkdir()
    (place / "layer.tar").write_bytes(layer)
    assert by_recipe(ROOT, place) == layer
    names = ["./", "./new/", "./new/fifo"]
    assert [name for name in top_layer(image) if name.count("/") < 3 and name in names] == names
    assert list(top_layer(image))[-4:] == [
        *("./old/", "./old/-first", "./old/.wh.d", "./old/.wh.f", "./old/z")[-4:]
    ]
    owned = top_layer(image)["./new/owned"]
    assert (owned.uid, owned.gid, owned.uname, owned.mode) == (123456, 234567, "", 0o4711)
    seen = "test ! -e /old/d -a ! -e /old/f -a -f /old/-first -a -u /new/owned"
    made(any_workplace, "--from", image, "--", "sh", "-c", seen)


BASES: dict[str, Mapping[str, object]] = {
    "of the base": {"Env": ["A=1", "B=2"], "Cmd": ["base"], "User": "app", "Labels": {"a": "b"}},
    "nothing": {},
}


@pytest.mark.parametrize("base", BASES)
def test_the_config_is_that_of_the_recipe(base: str, workplace: Workplace) -> None:
    below = workplace.base(
        config=BASES[base],
        image={
            "author": "me",
            "architecture": "arm64",
            "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "x"}],
        },
    )
    items = make_items(workplace)
    own = '{"Cmd": ["/bin/tool"], "Env": ["C=3"]}' if BASES[base] else '{"Cmd": ["/bin/tool"]}'
    image = made(workplace, "--from", below, "--config", own, *copies(items))
    inherited = BASES[base].get("Env", [])
    assert isinstance(inherited, list)
    created = "1970-01-01T00:00:01Z"
    assert config_of(image) == {
        "created": created,
        "architecture": "arm64",
        "os": "linux",
        "config": {"Cmd": ["/bin/tool"], "Env": [*inherited, "C=3"] if BASES[base] else []},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers_of(image)]},
        "history": [{"created": created}, {"created": created}],
    }


def test_variables_that_stand_twice_are_merged_all_the_same(workplace: Workplace) -> None:
    base = workplace.base(config={"Env": ["A=1", "B=2"]})
    image = made(workplace, "--from", base, "--env", "A=3", "--", "true")
    config = config_of(image)["config"]
    assert config == {"Env": ["A=3", "B=2"]}
    assert list(top_layer(image)) == ["./"]


def test_a_link_of_the_base_that_is_replaced_is_told(workplace: Workplace) -> None:
    base = workplace.base(
        "base.tar", busybox_layer(directory("usr/lib"), symlink("lib", "usr/lib"))
    )
    (workplace.path / "tree" / "lib").mkdir(parents=True)
    done = workplace.run(*COMPAT, "--from", base, "--copy", "tree", "-o", "o.tar")
    assert b"warning: /lib: a symlink of the base, which the layer replaces\n" in done.stderr
    assert list(top_layer(workplace.path / "o.tar")) == ["./", "./lib/"]
    done = workplace.run(*COMPAT, "--from", base, "--copy", "tree", "-o", "o.tar", "--", "true")
    assert b"replaces" not in done.stderr
    assert "./lib/" not in top_layer(workplace.path / "o.tar")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ((), ["d"]),
        (("--keep-dirlinks",), ["d"]),
        (("--copy-dirlinks",), ["d/", "d/x"]),
        (COMPAT, ["./", "./d/", "./d/x"]),
        ((*COMPAT, "--keep-dirlinks"), ["./", "./d"]),
    ],
    ids=["default", "keep", "copy", "compat", "compat-keep"],
)
def test_links_to_directories_are_copied_as_asked(
    options: tuple[str, ...], names: list[str], workplace: Workplace
) -> None:
    (workplace.path / "tree").mkdir()
    (workplace.path / "outside").mkdir()
    workplace.write("outside/x", "x")
    (workplace.path / "tree" / "d").symlink_to("../outside")
    done = workplace.run("--copy", "tree", "-o", "o.tar", *options)
    assert done.returncode == 0, done.stderr.decode()
    assert list(top_layer(workplace.path / "o.tar")) == names


def test_links_cannot_be_both_copied_and_kept(workplace: Workplace) -> None:
    done = workplace.run("--copy", ".", "--copy-dirlinks", "--keep-dirlinks", "-o", "o.tar")
    assert done.returncode == 125
    why = b"rootrun: error: --keep-dirlinks: not possible together with --copy-dirlinks\n"
    assert done.stderr == why
