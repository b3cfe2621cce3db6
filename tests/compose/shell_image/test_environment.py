"""A shell image's variables are those of a builder, and what cannot be one is told."""

import pytest

from rootrun.compose.derivation import Derivation
from rootrun.compose.shell_image.environment import (
    ShellSettings,
    check_shell,
    files_of_attributes,
    mentioned_paths,
    shell_environment,
)
from rootrun.errors import UsageError

_SETTINGS = ShellSettings(shell="/nix/store/x-bash/bin/bash")
_PLACES = dict.fromkeys(("NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"), "/build")


def derivation(**environment: str) -> Derivation:
    """Return a derivation with one output."""
    return Derivation(
        outputs=(("out", "/nix/store/x-a"),),
        builder="/bin/sh",
        args=("-c", "echo built by $0 'with $out'"),
        environment=tuple(environment.items()),
    )


def test_a_builder_s_variables_are_there() -> None:
    assert shell_environment(derivation(a="1"), _SETTINGS) == {
        "PATH": "/nix/store/x-bash/bin:/usr/local/bin",
        "HOME": "/build",
        "USER": "nixbld",
        "NIX_STORE": "/nix/store",
        "NIX_BUILD_CORES": "1",
        "out": "/nix/store/x-a",
        "a": "1",
        **_PLACES,
        "TERM": "xterm-256color",
    }


def test_the_derivation_wins_but_over_the_places_to_work_in() -> None:
    given = derivation(PATH="/p", HOME="/h", TMP="/t", PWD="/w", SSL_CERT_FILE="/c")
    found = shell_environment(given, _SETTINGS._replace(bundle="/b"))
    assert (found["PATH"], found["HOME"], found["TMP"], found["PWD"]) == (
        *("/p", "/h"),
        *("/build", "/build"),
    )
    assert (found["SSL_CERT_FILE"], found["NIX_SSL_CERT_FILE"]) == ("/c", "/b")


def test_attributes_as_files_are_named_by_variables() -> None:
    given = derivation(passAsFile="text gone", text="content")
    found = shell_environment(given, _SETTINGS)
    assert "text" not in found
    assert "gonePath" not in found
    assert files_of_attributes(given) == {found["textPath"]: "content"}


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (derivation(__json="{}"), _SETTINGS, "shell image: x.drv: a derivation with structured"),
        (derivation(a="\udcff"), _SETTINGS, "shell image: x.drv: 'a': not UTF-8"),
        (
            derivation(),
            _SETTINGS._replace(command="a", run="b"),
            "--command: not possible together with --run",
        ),
        (derivation(), ShellSettings(shell="bash"), "--shell: 'bash': not an absolute path"),
        (derivation(**{"a=b": ""}), _SETTINGS, "shell image: x.drv: 'a=b': not a variable"),
        (derivation(**{"": "a"}), _SETTINGS, "shell image: x.drv: '': not a variable"),
        (derivation(a="b\0c"), _SETTINGS, "shell image: x.drv: 'a': not a variable"),
        (derivation(), _SETTINGS._replace(home="/a:b"), "--home: '/a:b': has a colon"),
        (derivation(), ShellSettings(shell="/a\nb"), "--shell: '/a\\nb': has a colon"),
    ],
    ids=[
        *("structured", "bytes", "both", "relative", "equals", "no name", "zero", "colon"),
        "line break",
    ],
)
def test_what_cannot_be_a_shell_image_is_told(
    given: Derivation, settings: ShellSettings, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_shell("x.drv", given, settings)
    assert str(caught.value).startswith(message)


def test_no_name_of_an_attribute_leads_out_of_the_directory() -> None:
    name = "/../../etc/passwd"
    (path,) = files_of_attributes(derivation(passAsFile=name, **{name: "x"}))
    assert path.startswith("/build/.attr-")
    assert path.count("/") == 2


def test_paths_that_the_builder_is_told_are_found() -> None:
    paths = [f"/nix/store/{digit * 32}-a.b+c" for digit in "1234"]
    made = derivation(one=f"-I{paths[0]}/include:{paths[1]}", two=paths[2], out=paths[3])
    made = made._replace(outputs=(("out", paths[3]),), builder=f"{paths[0]}/bin/sh")
    assert mentioned_paths(made, store="/nix/store") == paths[:3]
    assert mentioned_paths(made, store="/gnu/store") == []


def test_all_else_can() -> None:
    check_shell("x.drv", derivation(a="é"), _SETTINGS._replace(command="a"))
