"""``--with``: what is missing is made, what is there stays."""

from pathlib import Path

import pytest

from tests.cli.command_line import error_of
from tests.e2e.test_bad_input import refused
from tests.e2e.test_pure_layer import brought
from tests.support.tarball import Member, directory, file, symlink, tarball
from tests.support.workplace import (
    Workplace,
    busybox_layer,
    config_of,
    content_of,
    layers_of,
    top_layer,
)

pytestmark = pytest.mark.userns
_FAKE_NSS = {
    "etc/passwd": (
        b"root:x:0:0:root user:/var/empty:/bin/sh\nnobody:x:65534:65534:nobody:/var/empty:/bin/sh\n"
    ),
    "etc/group": b"root:x:0:\nnobody:x:65534:\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
}
_SHADOW = {
    "etc/group": b"root:x:0:\n",
    "etc/gshadow": b"root:x::\n",
    "etc/login.defs": b"",
    "etc/pam.d/other": (
        b"account sufficient pam_unix.so\n"
        b"auth sufficient pam_rootok.so\n"
        b"password requisite pam_unix.so nullok yescrypt\n"
        b"session required pam_unix.so\n"
    ),
    "etc/passwd": b"root:x:0:0::/root:/bin/sh\n",
    "etc/shadow": b"root:!x:::::::\n",
}
_BUNDLES = (
    "etc/ssl/certs/ca-bundle.crt",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
)


def files_of(image: Path) -> dict[str, bytes]:
    """Return the files of the new layer."""
    layer = top_layer(image)
    return {name: content_of(image, name) for name, entry in layer.items() if entry.isreg()}


def on(place: Workplace, *members: Member) -> tuple[str, Path]:
    """Return the option of a base of ``members``."""
    return "--from", place.base("base.tar", tarball(*members))


@pytest.mark.parametrize(
    ("helper", "expected"), [("fake-nss", _FAKE_NSS), ("shadow", _SHADOW)], ids=["nss", "shadow"]
)
def test_files_of_users_are_made_where_there_are_none(
    helper: str, expected: dict[str, bytes], any_workplace: Workplace
) -> None:
    image = brought(any_workplace, "--with", helper)
    assert files_of(image) == expected
    layer = top_layer(image)
    secret = {name for name in expected if "shadow" in name}
    modes = {name: 0o600 if name in secret else 0o644 for name in expected}
    assert {name: layer[name].mode for name in expected} == modes
    assert ("var/empty/" in layer) is (helper == "fake-nss")
    assert {(entry.uid, entry.gid, entry.mtime) for entry in layer.values()} == {(0, 0, 1)}


def test_ac_r62_what_the_base_has_stays(workplace: Workplace) -> None:
    base = on(workplace, file("etc/passwd", b"mine\n"), directory("var/empty", mode=0o700))
    image = brought(workplace, *base, "--with", "fake-nss", "--with", "tmp")
    assert list(top_layer(image)) == ["etc/", "etc/group", "etc/nsswitch.conf", "tmp/"]
    assert top_layer(image)["tmp/"].mode == 0o1777
    image = brought(workplace, *base, "--with", "shadow")
    assert {"etc/passwd", "etc/shadow"}.isdisjoint(top_layer(image))
    everything = ("--with", "fake-nss", "--with", "tmp", "--with", "bin-sh=/x")
    first = brought(workplace, *everything).rename(workplace.path / "first.tar")
    assert list(top_layer(brought(workplace, "--from", first, *everything))) == []


def test_a_dangling_link_is_something_that_stays(workplace: Workplace) -> None:
    base = on(workplace, symlink("tmp", "var/tmp"), symlink("bin/sh", "gone"))
    assert list(top_layer(brought(workplace, *base, "--with", "tmp", "--with", "bin-sh=/x"))) == []


def test_what_is_copied_in_stays(workplace: Workplace) -> None:
    workplace.write("passwd", "copied\n")
    image = brought(workplace, "--with", "fake-nss", "--copy", "passwd:/etc/")
    assert content_of(image, "etc/passwd") == b"copied\n"


def test_links_are_made_through_those_of_a_merged_usr(workplace: Workplace) -> None:
    base = on(workplace, directory("usr/local/bin"), symlink("bin", "usr/local/bin"))
    helpers = ("--with", "bin-sh=/opt//bash", "--with", "usr-bin-env=/opt/env")
    layer = top_layer(brought(workplace, *base, *helpers))
    links = {name: entry.linkname for name, entry in layer.items() if entry.issym()}
    assert links == {"usr/local/bin/sh": "/opt/bash", "usr/bin/env": "/opt/env"}


def test_no_link_of_the_base_leads_out_of_it(workplace: Workplace) -> None:
    outside = workplace.path / "outside"
    outside.mkdir()
    workplace.own(outside)
    layer = top_layer(
        brought(workplace, *on(workplace, symlink("etc", f"{outside}")), "--with", "shadow")
    )
    assert f"{outside}/passwd".lstrip("/") in layer
    assert list(outside.iterdir()) == []


def test_ac33_a_bundle_is_found_where_each_library_looks(workplace: Workplace) -> None:
    workplace.write("bundle.pem", "certificates")
    image = brought(workplace, "--with", "ca-certificates=bundle.pem")
    layer = top_layer(image)
    assert content_of(image, _BUNDLES[0]) == b"certificates"
    assert {layer[name].linkname for name in _BUNDLES[1:]} == {f"/{_BUNDLES[0]}"}
    image = brought(
        workplace, *on(workplace, file(_BUNDLES[0], b"own")), "--with", "ca-certificates=bundle.pem"
    )
    assert content_of(image, _BUNDLES[1]) == b"certificates"
    assert top_layer(image)[_BUNDLES[2]].linkname == f"/{_BUNDLES[1]}"
    assert _BUNDLES[0] not in top_layer(image)
    history = config_of(image)["history"]
    assert isinstance(history, list)
    assert history[-1]["created_by"] == "rootrun --with ca-certificates=bundle.pem"


def test_the_script_finds_them_and_the_layer_has_them(any_workplace: Workplace) -> None:
    base = any_workplace.base(
        "base.tar", busybox_layer(), tarball(file("bin/.wh.sh"), file("etc/.wh.passwd"))
    )
    helpers = ("--with", "fake-nss", "--with", "bin-sh=/bin/busybox")
    image = any_workplace.build("ls -l /etc | grep -c passwd > /n\n", *helpers, base=base)
    assert content_of(image, "n") == b"1\n"
    assert top_layer(image)["bin/sh"].linkname == "/bin/busybox"
    again = any_workplace.build(
        "ls -l /etc | grep -c passwd > /n\n", *helpers, "--rootfs", "copy", base=base
    )
    assert layers_of(again) == layers_of(image)


def test_a_place_below_a_file_is_told(workplace: Workplace) -> None:
    workplace.base("base.tar", busybox_layer(file("var", b"")))
    line = refused(workplace, "--from", "base.tar", "--with", "fake-nss")
    assert line.startswith("rootrun: error: --with: in the image: ")


@pytest.mark.parametrize(
    ("helpers", "message"),
    [
        (["nss"], "--with: 'nss': not one of fake-nss, ca-certificates, bin-sh, usr-bin-env"),
        ([""], "--with: '': not one of fake-nss"),
        (["tmp=1"], "--with: 'tmp=1': tmp takes no value"),
        (["bin-sh"], "--with: 'bin-sh': names no shell of the image"),
        (["usr-bin-env="], "--with: 'usr-bin-env=': names no env of the image"),
        (["bin-sh=bash"], "--with: 'bin-sh=bash': not an absolute path"),
        (["usr-bin-env=/a/../b"], "--with: 'usr-bin-env=/a/../b': has a .. in it"),
        (["ca-certificates"], "--with: 'ca-certificates': names no bundle"),
        (["ca-certificates=/gone"], "--with: 'ca-certificates=/gone': No such file or directory"),
        (["ca-certificates=/"], "--with: 'ca-certificates=/': Is a directory"),
        (["tmp", "tmp"], "--with: tmp: given more than once"),
        (["shadow", "fake-nss"], "--with: shadow: not possible together with fake-nss"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_helper_that_cannot_be_is_told(
    helpers: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert error_of(*[word for helper in helpers for word in ("--with", helper)]).startswith(
        message
    )
    assert list(tmp_path.iterdir()) == []
