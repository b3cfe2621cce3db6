"""The layer and configuration of a shell image, with a real bash."""

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import cast

import pytest

from rootrun.compose.shell_image.environment import ShellSettings, shell_environment
from rootrun.compose.shell_image.layer import shell_config, shell_layer, start_of_shell
from tests.compose.shell_image.test_environment import derivation
from tests.support.require import require_program

_SETTINGS = ShellSettings(shell="/nix/store/x-bash/bin/bash", uid=1234, gid=567, home="/home/me")


def members(settings: ShellSettings = _SETTINGS, **environment: str) -> dict[str, tarfile.TarInfo]:
    """Return the entries of the layer by their names."""
    layer = shell_layer(derivation(**environment), settings, mtime_s=7)
    with tarfile.open(fileobj=io.BytesIO(layer.content)) as tar:
        assert len(tar.getmembers()) == layer.entry_count
        return {member.name: member for member in tar.getmembers()}


def content(name: str, settings: ShellSettings = _SETTINGS, **environment: str) -> str:
    """Return the content of a file of the layer."""
    layer = shell_layer(derivation(**environment), settings, mtime_s=7)
    with tarfile.open(fileobj=io.BytesIO(layer.content)) as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read().decode()


def test_the_user_owns_the_store_and_where_it_works() -> None:
    layer = members()
    owned = {name for name, member in layer.items() if (member.uid, member.gid) == (1234, 567)}
    directories = {"build", "etc/nix", "home/me", "nix", "nix/store", "nix/var", "nix/var/nix"}
    assert owned == directories
    assert {member.uid for name, member in layer.items() if name not in owned} == {0}
    assert all(layer[name].isdir() and layer[name].mode == 0o755 for name in directories)
    assert {member.mtime for member in layer.values()} == {7}


def test_each_directory_comes_before_what_is_in_it_once() -> None:
    names = list(members(text="x", passAsFile="text"))
    assert len({*names}) == len(names)
    for name in names:
        above = os.path.dirname(name)
        assert not above or names.index(above) < names.index(name)
    assert any(name.startswith("build/.attr-") for name in names)


def test_ac40_the_user_has_a_name_and_a_home() -> None:
    shell = _SETTINGS.shell
    user = f"nixbld:x:1234:567:Build user:/home/me:{shell}"
    assert user in content("etc/passwd").splitlines()
    assert content("etc/group").splitlines() == ["root:x:0:", "nixbld:!:567:", "nobody:x:65534:"]
    assert members()["bin/sh"].linkname == shell
    assert "bin/sh" not in members(_SETTINGS._replace(shell="/bin/sh"))


def test_ac41_run_is_for_a_shell_that_is_not_interactive() -> None:
    config = shell_config(derivation(), _SETTINGS)
    assert config["Cmd"] == [_SETTINGS.shell, "--rcfile", "/etc/nix-shell-rc"]
    config = shell_config(derivation(), _SETTINGS._replace(run="true"))
    assert config["Cmd"] == [_SETTINGS.shell, "/etc/nix-shell-rc"]
    assert (config["User"], config["WorkingDir"]) == ("1234:567", "/build")
    assert "HOME=/home/me" in cast("list[str]", config["Env"])


@pytest.mark.parametrize("home", ["/homeless-shelter", "/var/empty"])
def test_ac40_a_home_can_be_none(home: str) -> None:
    settings = _SETTINGS._replace(home=home)
    found = members(settings).get(home.strip("/"))
    assert found is None or (found.uid, found.mode) == (0, 0o555)
    assert f":{home}:" in content("etc/passwd", settings)


def test_another_store_is_the_user_s_too() -> None:
    layer = members(_SETTINGS._replace(store="/gnu/store"))
    assert {layer[name].uid for name in ("gnu", "gnu/store")} == {1234}
    assert "nix/store" not in layer


@pytest.fixture
def bash() -> str:
    """The path of a bash."""
    return str(require_program("bash"))


def said(bash: str, directory: Path, script: str, **environment: str) -> list[str]:
    """Return the lines that ``script`` says as what the shell of an image is to run."""
    settings = ShellSettings(shell=bash, run=script)
    start = directory / "start"
    start.write_text(start_of_shell(settings))
    variables = {
        **shell_environment(derivation(**environment), settings),
        "PWD": os.fspath(directory),
    }
    done = subprocess.run(
        [bash, start], env=variables, cwd=directory, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode().splitlines()


def test_the_shell_is_set_up_by_stdenv_as_the_builder_would_be(bash: str, tmp_path: Path) -> None:
    (tmp_path / "setup").write_text(
        "PATH=/of/stdenv; set -e; shopt -s nullglob\n"
        'runHook() { eval "${!1}"; }\n'
        '[ "$dontAddDisableDepTrack" = 1 ]\n'
    )
    script = "false; echo $PATH $0 $hooked $a; shopt nullglob execfail; echo $SHELL"
    lines = said(bash, tmp_path, script, stdenv=f"{tmp_path}", shellHook="hooked=yes", a="b c")
    path = f"{os.path.dirname(bash)}:/usr/local/bin:/of/stdenv"
    assert lines[0] == f"{path} {tmp_path}/start yes b c"
    assert [line.split() for line in lines[1:3]] == [["nullglob", "off"], ["execfail", "on"]]
    assert lines[3] == bash


def test_without_stdenv_the_path_has_no_empty_part(bash: str, tmp_path: Path) -> None:
    assert said(bash, tmp_path, "echo $PATH") == [f"{os.path.dirname(bash)}:/usr/local/bin"]


def test_the_builder_can_be_run(bash: str, tmp_path: Path) -> None:
    settings = ShellSettings(shell=bash)
    program = tmp_path / "buildDerivation"
    program.write_text(content("usr/local/bin/buildDerivation", settings))
    assert members()["usr/local/bin/buildDerivation"].mode == 0o755
    program.chmod(0o755)
    done = subprocess.run([program], env={"out": "x"}, capture_output=True, check=True)
    assert done.stdout == b"built by /bin/sh with $out\n"
