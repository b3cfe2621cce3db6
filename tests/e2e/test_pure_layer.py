"""Without a script nothing is run: what is brought in makes the layer."""

from pathlib import Path

import pytest

from tests.support.images import assert_image_valid
from tests.support.workplace import Workplace, config_of, content_of, layers_of, top_layer

pytestmark = pytest.mark.userns


def brought(place: Workplace, *options: str | Path) -> Path:
    """Return the image of a run without a script, which must work."""
    done = place.run("-o", "pure.tar", *options)
    assert done.returncode == 0, done.stderr.decode()
    return place.path / "pure.tar"


def test_copies_alone_are_the_layer_that_a_script_of_nothing_leaves(
    any_workplace: Workplace,
) -> None:
    any_workplace.write("plain", "plain", mode=0o640)
    copies = ("--copy", "plain:/etc/", "--copy", "plain:/opt/renamed")
    base = any_workplace.base()
    pure = brought(any_workplace, "--from", base, *copies)
    assert_image_valid(pure)
    assert list(top_layer(pure)) == ["etc/", "etc/plain", "opt/", "opt/renamed"]
    assert layers_of(pure) == layers_of(any_workplace.build(":", *copies))
    history = config_of(pure)["history"]
    assert isinstance(history, list)
    assert history[-1]["created_by"] == ("rootrun --copy plain:/etc/ --copy plain:/opt/renamed")


def test_nothing_is_needed_to_run_in_the_image(workplace: Workplace) -> None:
    workplace.write("plain", "plain")
    base = workplace.base("arm.tar", image={"architecture": "arm64"})
    pure = brought(workplace, "--from", base, "--copy", "plain", "--check", "--timeout", "1")
    assert config_of(pure)["architecture"] == "arm64"
    assert content_of(brought(workplace, "--copy", "plain"), "plain") == b"plain"


def test_it_is_a_step_for_the_cache(workplace: Workplace) -> None:
    workplace.write("plain", "plain")
    options = ("--copy", "plain", "--step-cache", "--cache-dir", "cache", "-v", "--compression")
    first = brought(workplace, *options, "gzip").read_bytes()
    done = workplace.run(*options, "gzip", "-o", "again.tar")
    assert b"step cache: the content: layer sha256:" in done.stderr
    assert (workplace.path / "again.tar").read_bytes() == first


def test_the_default_name_is_that_of_what_is_copied(workplace: Workplace) -> None:
    workplace.base()
    workplace.write("tool.sh", "x")
    done = workplace.run("--from", "base.tar", "--copy", "tool.sh")
    assert done.returncode == 0, done.stderr.decode()
    assert (workplace.path / "base-tool.tar").exists()
