"""The images that the plugin of pytest makes."""

import pytest

from tests.support.pytest_program import run_pytest
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_UUID = "cat /proc/sys/kernel/random/uuid"


def test_image_is_made_once_for_all_workers(lone_workplace: Workplace) -> None:
    source = f"""
import os, pathlib
def test_it(rootrun_machine, rootrun_image):
    image = rootrun_image("base.tar", "{_UUID} > /one", pathlib.Path("two.sh"))
    uuid = rootrun_machine(image).succeed("cat /one; grep -q two /two")
    worker = os.environ["PYTEST_XDIST_WORKER"]
    pathlib.Path("told-" + worker).write_text(f"{{image}} {{image.stat().st_ino}} {{uuid}}")
"""
    lone_workplace.write("two.sh", "echo two > /two")
    done = run_pytest(lone_workplace, source, "-n4", "--dist=each")
    assert done.returncode == 0, done.stdout
    told = [path.read_text() for path in lone_workplace.path.glob("told-gw*")]
    assert len(told) == 4
    assert len({*told}) == 1
    assert list(lone_workplace.path.glob("basetemp/rootrun-images/*")) == []


def test_workers_tell_what_machines_did(lone_workplace: Workplace) -> None:
    source = """
import pytest
@pytest.mark.parametrize("number", range(4))
def test_it(number, rootrun_machine):
    rootrun_machine("base.tar").succeed(f"exit 3{number}")
"""
    done = run_pytest(lone_workplace, source, "-n2")
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("- rootrun machine machine -") == 4
    assert all(f"s  exit 3{number}: status 3{number}" in done.stdout for number in range(4))


def test_next_session_takes_the_layer_that_was_made(lone_workplace: Workplace) -> None:
    source = f"""
def test_it(rootrun_image, rootrun_machine):
    machine = rootrun_machine(rootrun_image("base.tar", "{_UUID} > /one"))
    machine.execute("true")
    with open("told", "a") as told:
        told.write(machine.read_text("/one"))
"""
    for _ in range(2):
        done = run_pytest(lone_workplace, source)
        assert done.returncode == 0, done.stdout
    first, second = (lone_workplace.path / "told").read_text().splitlines()
    assert first == second


def test_image_that_cannot_be_made_is_tried_once(lone_workplace: Workplace) -> None:
    source = """
import pytest
@pytest.mark.parametrize("number", range(2))
def test_it(number, rootrun_image):
    rootrun_image("base.tar", "echo tried >> /shared/tried; cp /shared/one /two || exit 7",
                  options=["--bind", "shared:/shared"])
"""
    shared = lone_workplace.path / "shared"
    shared.mkdir()
    lone_workplace.own(shared)
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 1, done.stdout
    assert "2 failed" in done.stdout
    assert "MachineError: make an image: status 7" in done.stdout
    assert "cp: can't stat '/shared/one'" in done.stdout
    assert len((shared / "tried").read_text().splitlines()) == 1


def test_options_and_changed_bases_make_other_images(lone_workplace: Workplace) -> None:
    source = """
import os, pathlib, shutil
def test_it(rootrun_image):
    plain = rootrun_image("base.tar", "true")
    assert plain == rootrun_image(pathlib.Path("base.tar"), "true")
    named = rootrun_image("base.tar", "true", options=["--env", "A=b"])
    shutil.copy(plain, "new.tar")
    os.replace("new.tar", "base.tar")
    assert len({plain, named, rootrun_image("base.tar", "true")}) == 3
"""
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 0, done.stdout
