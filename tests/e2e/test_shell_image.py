"""``rootrun shell-image``: the shell of the image is run, and is what nix-shell would start."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.support.host_bash import bash_bytes, bash_libraries
from tests.support.image_check import assert_image_valid
from tests.support.peers import unpacked_by_umoci
from tests.support.require import require_program
from tests.support.store import Store
from tests.support.workplace import Workplace, config_of, layers_of, manifest_of, top_layer

pytestmark = pytest.mark.userns

_SETUP = b"""\
PATH=/of/stdenv
set -e
shopt -s nullglob
runHook() { eval "${!1}"; }
"""


@pytest.fixture
def store(public_path: Path) -> Store:
    """A store with a bash, and what a derivation needs."""
    store = Store(directory=public_path / "store")
    setup = store.add("stdenv", {"setup": _SETUP})
    store.add("bash", {"bin/bash*": bash_bytes()}, references=[setup])
    store.write_closure(public_path / "closure.json")
    return store


def path_of(store: Store, name: str) -> str:
    """Return the path of the store that is called so."""
    (path,) = (path for path in store.graph if path.endswith(f"-{name}"))
    return path


def derivation(store: Store, **more: object) -> bytes:
    """Return a derivation as ``nix derivation show`` writes it."""
    environment = {
        "name": "hello-2.10",
        "stdenv": path_of(store, "stdenv"),
        "shellHook": "hooked=yes",
        "text": "of a file",
        "passAsFile": "text",
        "out": "/out",
    }
    document = {
        "builder": f"{path_of(store, 'bash')}/bin/bash",
        "args": ["-c", 'echo "built by $0 as $out"'],
        "env": environment,
        "outputs": {"out": {"path": "/out"}},
        **more,
    }
    return json.dumps({"/nix/store/0-hello-2.10.drv": document}).encode()


def made(place: Workplace, store: Store, *args: str | Path) -> Path:
    """Return the image, which can be made."""
    place.write("hello.json", derivation(store))
    closure = store.directory.parent / "closure.json"
    options = ("--closure", closure, "--store-dir", store.directory, "-o", "shell.tar")
    done = place.run("shell-image", "hello.json", *options, *bash_libraries(), *args)
    assert done.returncode == 0, done.stderr.decode()
    image = place.path / "shell.tar"
    assert assert_image_valid(image).config_digest == done.stdout.decode().strip()
    return image


def said(place: Workplace, image: Path, *, command: tuple[str, ...] | None = None) -> list[str]:
    """Return what the command, by default that of the image, says when the image is run."""
    config = config_of(image)["config"]
    assert isinstance(config, dict)
    place_to_run = ("--user", config["User"], "--workdir", config["WorkingDir"])
    args = (
        "--from",
        image,
        "-q",
        "--owner",
        "keep",
        *place.options,
        *place_to_run,
        "-o",
        "run.tar",
    )
    done = place.run(*args, "--", *(command or config["Cmd"]))
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode().splitlines()


def test_shell_is_in_the_environment_of_the_builder(any_workplace: Workplace, store: Store) -> None:
    run = 'echo $hooked $out $PWD $TMPDIR; echo $NIX_STORE; echo "$(<$textPath)"; echo ${text-no}'
    lines = said(any_workplace, made(any_workplace, store, "--run", run))
    assert lines == ["yes /out /build /build", os.fspath(store.directory), "of a file", "no"]


@pytest.mark.parametrize("home", ["/build", "/home/me", "/homeless-shelter"])
def test_ac40_the_user_has_a_name_and_can_write_in_its_home_if_there_is_one(
    home: str, any_workplace: Workplace, store: Store
) -> None:
    run = (
        'echo ~nixbld $HOME $USER $UID; : 2>/dev/null >"$HOME/new" && echo written; [ -d "$HOME" ]'
    )
    args = ("--home", home, "--uid", "1234", "--gid", "99", "--run", f"{run}; echo $?")
    lines = said(any_workplace, made(any_workplace, store, *args))
    assert lines[0] == f"{home} {home} nixbld 1234"
    is_there = home != "/homeless-shelter"
    assert lines[1:] == (["written", "0"] if is_there else ["1"])
    entry = top_layer(any_workplace.path / "run.tar").get(f"{home}/new".lstrip("/"))
    assert (entry is not None) is is_there
    assert entry is None or (entry.uid, entry.gid) == (1234, 99)


def test_ac41_run_needs_no_terminal_and_has_none(any_workplace: Workplace, store: Store) -> None:
    run = "echo $-; [ -t 0 ]; echo $?; read -r line; echo $? $line"
    flags, *rest = said(any_workplace, made(any_workplace, store, "--run", run))
    assert "i" not in flags
    assert rest == ["1", "1"]


@pytest.mark.root
@pytest.mark.peers
def test_ac41_command_is_run_in_an_interactive_shell(
    root_workplace: Workplace, store: Store, tmp_path: Path
) -> None:
    image = made(root_workplace, store, "--command", "echo it is $-, $hooked; shopt execfail")
    config = config_of(image)["config"]
    assert isinstance(config, dict)
    with unpacked_by_umoci(image, tmp_path) as root:
        argv = [require_program("chroot"), "--userspec", config["User"], root, *config["Cmd"]]
        environment = dict(entry.split("=", 1) for entry in config["Env"])
        shown = on_terminal(argv, environment)
    flags, _, rest = shown.partition("it is ")[2].partition(", ")
    assert "i" in flags
    assert rest.split() == ["yes", "execfail", "on"]


def on_terminal(argv: list[str | Path], environment: dict[str, str]) -> str:
    """Return what a program shows on a terminal where nobody types."""
    controller, terminal = pty.openpty()
    try:
        done = subprocess.run(
            argv, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, check=False
        )
        assert done.returncode == 0
        return os.read(controller, 65536).decode()
    finally:
        os.close(controller)
        os.close(terminal)


def test_image_is_the_same_for_everybody(
    root_workplace: Workplace, lone_workplace: Workplace, store: Store
) -> None:
    """R22, AC48: owners are those of the image, whoever made it."""
    first = made(root_workplace, store, "--timestamp", "7")
    assert made(lone_workplace, store, "--timestamp", "7").read_bytes() == first.read_bytes()


def test_paths_of_the_store_are_below_one_layer_more(workplace: Workplace, store: Store) -> None:
    image = made(workplace, store)
    assert len(layers_of(image)) == len(store.graph) + 2
    history = config_of(image)["history"]
    assert isinstance(history, list)
    assert history[-2]["created_by"] == "rootrun shell-image hello-2.10"
    assert str(manifest_of(image)["RepoTags"]).startswith("['hello-2-10-env:")


def test_builder_can_be_run_in_the_image(workplace: Workplace, store: Store) -> None:
    shell = f"{path_of(store, 'bash')}/bin/bash"
    lines = said(workplace, made(workplace, store), command=("buildDerivation",))
    assert lines == [f"built by {shell} as /out"]


def test_configuration_can_be_edited(workplace: Workplace, store: Store) -> None:
    config = '{"Cmd": ["/other"], "Env": ["HOME=/there", "MORE=1"], "StopSignal": "SIGINT"}'
    image = made(workplace, store, "--config", config, "--env", "TERM=dumb", "--workdir", "/else")
    edited = config_of(image)["config"]
    assert isinstance(edited, dict)
    assert (edited["Cmd"], edited["StopSignal"]) == (["/other"], "SIGINT")
    assert (edited["WorkingDir"], edited["User"]) == ("/else", "1000:1000")
    assert {"HOME=/there", "MORE=1", "TERM=dumb", "USER=nixbld"} <= set(edited["Env"])


def test_helpers_add_env_and_certificates(any_workplace: Workplace, store: Store) -> None:
    bundle = any_workplace.write("bundle.crt", "certificates")
    shell = f"{path_of(store, 'bash')}/bin/bash"
    helpers = ("--with", f"usr-bin-env={shell}", "--with", f"ca-certificates={bundle}")
    run = 'echo "$(<$SSL_CERT_FILE) $(<$NIX_SSL_CERT_FILE)"; /usr/bin/env -c "echo linked"'
    image = made(any_workplace, store, *helpers, "--with", "bin-sh=/no", "--run", run)
    assert said(any_workplace, image) == ["certificates certificates", "linked"]
    assert "bin/sh" not in top_layer(image), "what the shell image has stays"


def test_a_script_changes_the_root_of_the_image(workplace: Workplace, store: Store) -> None:
    script = workplace.write("more.sh", "#!/bin/sh\necho made by $UID > /build/note\n")
    image = made(workplace, store, "--script", script, "--run", 'echo "$(</build/note)"')
    assert said(workplace, image) == ["made by 0"]


@pytest.mark.parametrize(
    ("args", "more", "why"),
    [
        (
            ["--run", "a", "--command", "b"],
            {},
            "--command: not possible together with --run",
        ),
        ([], {"env": {"__json": "{}"}}, "hello-2.10: a derivation with structured attributes"),
        ([], {"structuredAttrs": {}}, "hello-2.10: a derivation with structured attributes"),
        ([], {"builder": "builtin:fetchurl"}, "--shell: not given: the builder of hello-2.10"),
        (["--shell", "bash"], {}, "--shell: 'bash': not an absolute path"),
        (["--shell", "STORE/0-gone/bin/bash"], {}, "gone/bin/bash: No such file or directory"),
        (["--shell", "STORE/0-new/bin/bash"], {}, "0-new is not in the closure"),
        (["--uid", "x"], {}, "--uid: 'x': not a number of at most 4294967294"),
        (["--gid", "4294967295"], {}, "--gid: '4294967295': not a number of at most 4294967294"),
        (["--home", "home"], {}, "--home: 'home': not an absolute path"),
        (["--home", "/a:b"], {}, "--home: '/a:b': has a colon or a blank"),
        (["--from", "base.tar"], {}, "--from: no such option"),
        (["--max-layers", "1"], {}, "--max-layers: 1: the base has 0 layers and 1 more"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    args: list[str], more: dict[str, object], why: str, workplace: Workplace, store: Store
) -> None:
    store.add("new", {"bin/bash": b""}).rename(store.directory / "0-new")
    workplace.write("hello.json", derivation(store, **more))
    closure = store.directory.parent / "closure.json"
    options = ("--closure", closure, "--store-dir", store.directory, "-o", "shell.tar")
    given = [word.replace("STORE", os.fspath(store.directory)) for word in args]
    done = workplace.run("shell-image", "hello.json", *options, *given)
    assert (done.returncode, done.stdout) == (125, b"")
    assert why in done.stderr.decode().splitlines()[0]
    assert not (workplace.path / "shell.tar").exists()


def test_what_the_closure_lacks_is_told(workplace: Workplace, store: Store) -> None:
    image = made(workplace, store)
    del store.graph[path_of(store, "stdenv")]
    store.graph[path_of(store, "bash")] = []
    store.write_closure(store.directory.parent / "closure.json")
    options = ("--closure", store.directory.parent / "closure.json", "-o", "less.tar")
    done = workplace.run("shell-image", "hello.json", *options, "--store-dir", store.directory)
    assert done.returncode == 0
    gone = f"rootrun: warning: hello-2.10: not in the closure: {store.directory}/"
    assert done.stderr.decode().startswith(gone)
    assert len(layers_of(workplace.path / "less.tar")) < len(layers_of(image))


def test_closure_and_derivation_must_be_given(workplace: Workplace, store: Store) -> None:
    workplace.write("hello.json", derivation(store))
    for args, why in (
        (["hello.json"], "--closure: not given"),
        (["--closure", "hello.json"], "DERIVATION: not given"),
        (["none.drv", "--closure", "hello.json"], "shell image: none.drv: No such file"),
    ):
        done = workplace.run("shell-image", *args)
        assert done.returncode == 125
        assert done.stderr.decode().startswith(f"rootrun: error: {why}")
