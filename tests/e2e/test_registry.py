"""Bases that a registry has, fetched by skopeo: by digest, with the caller's configuration."""

import os
import socket
import threading
from pathlib import Path

import pytest

from tests.support.registry import Registry
from tests.support.workplace import (
    Workplace,
    config_of,
    content_of,
    manifest_of,
    top_layer,
)

pytestmark = [pytest.mark.userns, pytest.mark.peers]

NO_DIGEST = "sha256:" + "0" * 64


def test_a_base_is_fetched_by_its_digest(
    any_workplace: Workplace, registry: Registry, pushed: str
) -> None:
    args = ("--from", pushed, "--tag", "t", "--", "sh", "-c", "echo $FROM > /said")
    done = any_workplace.run(*args, env=registry.environment)
    assert done.returncode == 0, done.stderr.decode()
    output = any_workplace.path / "base-sh.tar"
    assert manifest_of(output)["RepoTags"] == ["base-sh:t"]
    assert list(top_layer(output)) == ["said"]
    assert content_of(output, "said") == b"registry\n"
    rootfs = config_of(output)["rootfs"]
    assert isinstance(rootfs, dict)
    assert len(rootfs["diff_ids"]) == 2


def test_a_fetched_base_gives_the_image_of_a_copied_one(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    outputs = []
    for run in range(2):
        args = ("--from", pushed, "-o", f"{run}.tar", "--", "touch", "/x")
        assert workplace.run(*args, env=registry.environment).returncode == 0
        outputs.append((workplace.path / f"{run}.tar").read_bytes())
    assert outputs[0] == outputs[1]


def test_an_image_of_a_registry_is_exported(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    done = workplace.run("export", pushed, env=registry.environment)
    assert done.returncode == 0, done.stderr.decode()
    assert (workplace.path / "base-rootfs.tar").stat().st_size > 1 << 20


@pytest.mark.parametrize(
    ("reference", "why", "hint"),
    [
        ("docker://host/name:tag", "no digest", "pin it as docker://host/name:tag@sha256:..."),
        ("docker://host/name@sha256:12", "not a sha256 digest", "pin it as docker://host/name@"),
    ],
    ids=["tag", "half a digest"],
)
def test_a_name_without_a_digest_is_refused(
    reference: str, why: str, hint: str, workplace: Workplace
) -> None:
    done = workplace.run("--from", reference, "--", "true")
    error, advice = done.stderr.decode().splitlines()
    assert done.returncode == 125
    assert error == f"rootrun: error: --from: {reference!r}: {why}"
    assert advice.startswith(f"rootrun: hint: {hint}")


def test_a_digest_that_the_registry_lacks_is_one_line(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    missing = f"{pushed.partition('@')[0]}@{NO_DIGEST}"
    args = ("--from", missing, "--tmpdir", ".", "--", "true")
    done = workplace.run(*args, env=registry.environment)
    assert done.returncode == 125
    (error,) = done.stderr.decode().splitlines()
    assert error.startswith(f"rootrun: error: fetch image: {missing}: ")
    assert "manifest unknown" in error
    assert os.listdir(workplace.path) == []


def test_a_registry_that_does_not_answer_is_one_line(workplace: Workplace) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        reference = f"docker://127.0.0.1:{closed.getsockname()[1]}/x@{NO_DIGEST}"
        done = workplace.run("--from", reference, "--", "true")
    assert done.returncode == 125
    assert b"connection refused" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_missing_skopeo_is_told_with_its_package(workplace: Workplace, pushed: str) -> None:
    done = workplace.run("--from", pushed, "--", "true", env={"PATH": "/nowhere"})
    assert done.returncode == 125
    assert done.stderr.decode().splitlines() == [
        f"rootrun: error: fetch image: {pushed}: skopeo: not found on PATH",
        "rootrun: hint: install the package skopeo (Debian, Ubuntu)",
    ]


def test_a_scratch_tree_where_skopeo_cannot_write_is_told(
    workplace: Workplace, pushed: str
) -> None:
    (workplace.path / "c:d").mkdir()
    workplace.own(workplace.path / "c:d")
    done = workplace.run("--from", pushed, "--tmpdir", "c:d", "--", "true")
    assert done.returncode == 125
    assert b"skopeo cannot write to a path with a colon" in done.stderr
    assert done.stderr.endswith(b"rootrun: hint: name another place by --tmpdir\n")


def test_proxy_variables_reach_skopeo(workplace: Workplace) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        answering = threading.Thread(target=_refuse_all, args=(proxy, asked))
        answering.start()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        reference = f"docker://registry.invalid/x@{NO_DIGEST}"
        done = workplace.run("--from", reference, "--", "true", env={"HTTPS_PROXY": url})
        proxy.shutdown(socket.SHUT_RDWR)
        answering.join()
    assert done.returncode == 125
    assert asked[0].startswith(b"CONNECT registry.invalid:443 ")


def _refuse_all(proxy: socket.socket, asked: list[bytes]) -> None:
    while True:
        try:
            connection, _ = proxy.accept()
        except OSError:
            return  # it was shut down
        with connection:
            asked.append(connection.recv(4096))
            connection.sendall(b"HTTP/1.1 502 no\r\nContent-Length: 0\r\n\r\n")


def test_proxy_variables_do_not_reach_the_script(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    proxies = {f"{name}_proxy": "http://user:word@127.0.0.1:9" for name in ("http", "https", "all")}
    env = {**registry.environment, **proxies, **{k.upper(): v for k, v in proxies.items()}}
    args = ("--from", pushed, "-o", "o.tar", "--", "sh", "-c", "env > /said")
    done = workplace.run(*args, env=env)
    assert done.returncode == 0, done.stderr.decode()
    said = content_of(workplace.path / "o.tar", "said").lower()
    assert b"proxy" not in said
    assert b"containers_" not in said
    assert b"from=registry" in said


def test_a_fetch_leaves_nothing_behind(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    scratch = Path(workplace.path, "scratch")
    scratch.mkdir()
    workplace.own(scratch)
    args = ("--from", pushed, "--tmpdir", "scratch", "-o", "o.tar", "--", "true")
    done = workplace.run(*args, env={**registry.environment, "TMPDIR": os.fspath(scratch)})
    assert done.returncode == 0, done.stderr.decode()
    assert os.listdir(scratch) == []
