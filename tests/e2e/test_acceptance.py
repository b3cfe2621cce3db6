"""Acceptance cases that are of no other file; ACCEPTANCE.md has them all."""

import gzip
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.merged import merged
from tests.support.peers import run_in_rootfs, skopeo_copy, skopeo_inspect, unpacked_by_umoci
from tests.support.require import require_program
from tests.support.store import Store
from tests.support.tarball import directory, file, symlink, tarball, whiteout
from tests.support.workplace import (
    Workplace,
    busybox_layer,
    config_of,
    content_of,
    layers_of,
    manifest_of,
    top_layer,
)

pytestmark = pytest.mark.userns

_HELLO = b"#!/bin/sh\necho hello\n"


@pytest.fixture
def store(public_path: Path) -> Store:
    """A store with a program and a library."""
    store = Store(directory=public_path / "store")
    library = store.add("library", {"lib/one": b"1"})
    store.add("hello", {"bin/hello*": _HELLO}, references=[library])
    store.write_closure(public_path / "closure.json")
    return store


def hello_of(store: Store) -> str:
    """Return the path of the program's package."""
    return next(path for path in store.graph if path.endswith("-hello"))


def layered(place: Workplace, store: Store, *args: str | Path) -> Path:
    """Return the layered image of ``store``, linked from its root."""
    closure = store.directory.parent / "closure.json"
    options = ("--closure", closure, "--store-dir", store.directory, "--contents", hello_of(store))
    done = place.run("layered", *options, "-o", "layered.tar", *args)
    assert done.returncode == 0, done.stderr.decode()
    return place.path / "layered.tar"


@pytest.mark.parametrize("limit", [3, 4, 5, 99])
def test_ac18_all_layers_together_are_no_more_than_allowed(
    limit: int, workplace: Workplace, store: Store
) -> None:
    for number in range(5):
        store.add(f"more-{number}", {"file": b"x" * 100 * number})
    store.write_closure(store.directory.parent / "closure.json")
    options = ("--from", workplace.base(), "--max-layers", str(limit))
    image = layered(workplace, store, *options)
    assert len(layers_of(image)) <= limit
    tree = merged(layers_of(image))
    assert {path.lstrip("/") for path in store.graph} <= {*tree}


def test_ac21_all_that_the_script_leaves_alone_is_as_in_the_base(any_workplace: Workplace) -> None:
    odd = tarball(
        *(directory("srv", 0o2750, uid=7, gid=8), file("srv/a", b"a" * 5000, 0o4711, uid=9)),
        *(symlink("srv/l", "/nowhere"), file("srv/.hidden", b"", 0o000)),
    )
    base = any_workplace.base("base.tar", busybox_layer(), odd)
    output = any_workplace.build("echo more >> /etc/passwd; rm /bin/ls; mkdir /new\n", base=base)
    before, after = merged(layers_of(base)), merged(layers_of(output))
    assert {path for path in after if after[path] != before.get(path)} == {"etc/passwd", "new"}
    assert {*before} - {*after} == {"bin/ls"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), ("arm64", "v8")),
        (("--arch", "arm/v7"), ("arm", "v7")),
        (("--arch", "386"), ("386", None)),
    ],
    ids=["base", "variant", "other"],
)
def test_ac22_a_foreign_image_keeps_or_gets_its_architecture(
    options: tuple[str, ...], told: tuple[str, str | None], workplace: Workplace
) -> None:
    foreign = {"architecture": "arm64", "variant": "v8"}
    base = workplace.base("base.tar", busybox_layer(), image=foreign)
    workplace.write("x", "x")
    done = workplace.run("--from", base, "--copy", "x", "-o", "o.tar", *options)
    assert done.returncode == 0, done.stderr.decode()
    config = config_of(workplace.path / "o.tar")
    assert (config["architecture"], config.get("variant")) == told


def test_ac26_an_owner_is_shown_to_the_script_and_in_the_layer(any_workplace: Workplace) -> None:
    script = "touch /testfile; chown 12345:12345 /testfile; stat -c %u:%g /testfile > /said\n"
    output = any_workplace.build(script, "--owner", "keep")
    entry = top_layer(output)["testfile"]
    assert (entry.uid, entry.gid) == (12345, 12345)
    assert content_of(output, "said") == b"12345:12345\n"


@pytest.mark.peers
def test_ac29_ac55_images_of_all_compressions_are_merged_and_taken_out_again(
    workplace: Workplace,
) -> None:
    script = "touch /x; chown 12:34 /x\n"
    for name, compression in (("plain", "none"), ("layers", "gzip"), ("zipped", "none")):
        options = ("--compression", compression, "--env", f"NAME={name}", "--owner", "keep")
        workplace.build(script, *options, "-t", f"{name}:1", output=f"{name}.tar")
    zipped = gzip.compress((workplace.path / "zipped.tar").read_bytes())
    workplace.write("zipped.tar.gz", zipped)
    done = workplace.run("merge", "plain.tar", "layers.tar", "zipped.tar.gz", "-o", "all.tar")
    assert done.returncode == 0, done.stderr.decode()
    archive = workplace.path / "all.tar"
    for name in ("plain", "layers", "zipped"):
        copy = f"oci:{workplace.path}/{name}:1"
        skopeo_copy(f"docker-archive:{archive}:{name}:1", copy)
        runtime = skopeo_inspect(copy, config=True)["config"]
        assert isinstance(runtime, dict)
        assert runtime["Env"] == [f"NAME={name}"]
        output = workplace.build(
            "echo $NAME > /said\n", "--from-ref", f"{name}:1", base=archive, output="o.tar"
        )
        assert content_of(output, "said") == f"{name}\n".encode()
        assert merged(layers_of(output))["x"].owner == (12, 34)


def test_ac32_an_installer_of_the_base_fills_etc(any_workplace: Workplace) -> None:
    activate = b"""#!/bin/sh -e
install() { mkdir -p "$(dirname "$2")"; cat > "$2"; chmod "$1" "$2"; }
echo 'PRETTY_NAME="test"' | install 444 /etc/os-release
echo 'root ALL=(ALL) ALL' | install 440 /etc/sudoers
echo key | install 600 /etc/ssh/host_key
ln -sfn /etc/os-release /etc/release; rm /etc/group; mkdir -p -m 700 /etc/private
"""
    system = tarball(file("nix/store/0-system/activate", activate, 0o555))
    applets = tarball(*(symlink(f"bin/{name}", "busybox") for name in ("dirname",)))
    base = any_workplace.base("base.tar", busybox_layer(), applets, system)
    output = any_workplace.build(
        "/nix/store/0-system/activate; cat /etc/release > /said\n", base=base
    )
    modes = {name: entry.mode for name, entry in top_layer(output).items() if entry.isfile()}
    assert modes["etc/os-release"] == 0o444
    assert (modes["etc/sudoers"], modes["etc/ssh/host_key"]) == (0o440, 0o600)
    assert {"etc/.wh.group", "etc/private/", "etc/release", "etc/ssh/"} <= {*top_layer(output)}
    assert content_of(output, "said") == b'PRETTY_NAME="test"\n'


def test_ac35_links_into_a_store_that_is_mounted_later_stay(
    any_workplace: Workplace, store: Store
) -> None:
    target = f"{hello_of(store)}/bin/hello"
    base = any_workplace.base()
    image = layered(any_workplace, store, "--from", base, "--no-store-paths")
    script = "test -L /bin/hello; test ! -e /bin/hello; echo > /bin/more\n"
    gone = any_workplace.build(script, base=image, output="gone.tar")
    assert merged(layers_of(gone))["bin/hello"].content == target.encode()
    bind = ("--bind", f"{store.directory}:{store.directory}:ro")
    mounted = any_workplace.build("/bin/hello > /said\n", *bind, base=image, output="run.tar")
    assert list(top_layer(mounted)) == ["said"]
    assert content_of(mounted, "said") == b"hello\n"


@pytest.mark.root
@pytest.mark.peers
def test_ac37_other_users_can_use_what_a_peer_unpacks(
    root_workplace: Workplace, store: Store, public_path: Path
) -> None:
    base = root_workplace.base()
    image = layered(root_workplace, store, "--from", base)
    with unpacked_by_umoci(image, public_path) as root:
        above = [root / store.directory.relative_to("/"), *(root / p for p in ("bin", "etc", "."))]
        assert {path.stat().st_mode & 0o7777 for path in above} == {0o755}
        argv = ("/bin/su", "-s", "/bin/sh", "app", "-c", "/bin/hello; whoami")
        assert run_in_rootfs(root, *argv) == b"hello\napp\n"


def test_ac39_a_healthcheck_is_written_and_the_configuration_carried(
    any_workplace: Workplace,
) -> None:
    runtime = {
        "Healthcheck": {"Test": ["CMD", "/bin/healthcheck"], "Interval": 30_000_000_000},
        "Volumes": {"/data": {}},
        "WorkingDir": "/data",
    }
    base = any_workplace.base("base.tar", busybox_layer(), config=runtime)
    script = """\
mkdir /data
cat > /bin/healthcheck <<'END'
#!/bin/sh
x="$(echo ping)"; [ "$x" = 'ping' ] || exit 1\\n
END
chmod +x /bin/healthcheck
"""
    output = any_workplace.build(script, base=base)
    assert config_of(output)["config"] == runtime
    assert top_layer(output)["bin/healthcheck"].mode == 0o755
    assert content_of(output, "bin/healthcheck") == (
        b'#!/bin/sh\nx="$(echo ping)"; [ "$x" = \'ping\' ] || exit 1\\n\n'
    )


def test_ac45_no_place_for_temporary_files_is_added(any_workplace: Workplace) -> None:
    base = any_workplace.base("base.tar", busybox_layer(), tarball(whiteout("tmp")))
    output = any_workplace.build("test ! -e /tmp; echo > /x\n", base=base)
    assert list(top_layer(output)) == ["x"]


def test_ac50_files_of_the_host_are_not_written(any_workplace: Workplace) -> None:
    mine = any_workplace.write("mine", "mine", mode=0o666)
    script = f"mkdir -p {mine.parent}; echo theirs > {mine}; echo x > /etc/passwd\n"
    before = Path("/etc/passwd").read_bytes()
    output = any_workplace.build(script)
    assert (mine.read_text(), Path("/etc/passwd").read_bytes()) == ("mine", before)
    assert content_of(output, f"{mine}".lstrip("/")) == b"theirs\n"


CHANGES = (
    "rm -r /d; mkdir /d; echo > /d/n; rm /f; mkdir /f; rm /l; mkdir /l; rm -r /e; ln -s f /e\n"
)


@pytest.mark.root
@pytest.mark.peers
def test_ac53_podman_unpacks_what_the_script_left(root_workplace: Workplace) -> None:
    old = tarball(
        *(directory("d"), file("d/a"), file("f", b"f"), symlink("l", "d")),
        *(directory("e"), file("e/x"), directory("d/s"), file("d/s/x")),
    )
    base = root_workplace.base("base.tar", busybox_layer(), old)
    output = root_workplace.build(
        CHANGES + "mkdir /g; rm /etc/group; echo > /etc/group\n", base=base
    )
    with mounted_by_podman(output) as root:
        found = {os.fspath(path.relative_to(root)) for path in root.rglob("*")}
        assert found >= {"d", "d/n", "f", "l", "e", "g", "etc/group"}
        assert not found & {"d/a", "d/s", "e/x", "l/a"}
        assert ((root / "f").is_dir(), os.readlink(root / "e")) == (True, "f")
        assert (root / "l").is_dir()


@contextmanager
def mounted_by_podman(archive: Path) -> Iterator[Path]:
    """Load an image into a storage of podman's own, and yield where podman mounts it."""
    podman = os.fspath(require_program("podman"))
    with tempfile.TemporaryDirectory(prefix="rrp-") as place:  # podman takes 50 characters
        argv = [podman, "--storage-driver=vfs", f"--root={place}/s", f"--runroot={place}/r"]
        environment = {**os.environ, "TMPDIR": place}

        def call(*words: str | Path) -> str:
            done = subprocess.run([*argv, *words], env=environment, capture_output=True, check=True)
            return done.stdout.decode().strip()

        call("load", "-q", "-i", archive)
        names = manifest_of(archive)["RepoTags"]
        assert isinstance(names, list)
        try:
            yield Path(call("image", "mount", f"localhost/{names[0]}"))
        finally:
            call("image", "umount", "--all")
            call("rmi", "--all", "--force")
