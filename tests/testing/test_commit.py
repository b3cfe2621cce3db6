"""``Machine.commit``: the layer that the main job would have made."""

import pytest

from tests.support.harness import run_harness
from tests.support.image_check import assert_image_valid
from tests.support.workplace import Workplace, config_of, layers_of, top_layer

pytestmark = pytest.mark.userns

_SCRIPT = (
    "mkdir -p /srv/data/deep; echo one > /srv/data/deep/f; chown -R app:extra /srv/data;"
    " rm /etc/group; chmod 4755 /srv/data/deep/f; mknod /srv/null c 1 3; mkfifo /srv/p;"
    " ln -s data /srv/link; ln /srv/data/deep/f /srv/hard; chmod 2775 /srv/data;"
    " touch /bin/busybox; rmdir /root; echo > /root"
)


@pytest.mark.parametrize("running", ["", "sleep 600 >/dev/null 2>&1 &"], ids=["idle", "busy"])
def test_layer_has_the_bytes_of_the_main_job(workplace: Workplace, running: str) -> None:
    image = workplace.build(_SCRIPT, "--owner", "keep")
    source = f"""
with Machine("base.tar") as machine:
    machine.succeed({_SCRIPT!r})
    machine.execute({running!r} or "true")
    committed = machine.commit("committed.tar")
    tell(committed.diff_id)
    assert machine.commit("oci:layout").diff_id == committed.diff_id
    assert [line for line in committed.losses] == []
"""
    [diff_id] = run_harness(workplace, source)
    committed = workplace.path / "committed.tar"
    assert layers_of(committed) == layers_of(image)
    assert_image_valid(committed)
    rootfs = config_of(committed)["rootfs"]
    assert isinstance(rootfs, dict)
    assert rootfs["diff_ids"][-1] == diff_id


def test_options_are_those_of_the_command_line(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar", name="web") as machine:
    machine.succeed("echo x > /srv; chown app /srv")
    options = CommitOptions(name="Some/Name", tag="1", owner="7:8", timestamp=99,
                            created="2001-02-03T04:05:06Z", compression="gzip",
                            edits=ConfigEdits(env=(("A", "b"),), command=("/bin/sh", "-c", "x")))
    tell(machine.commit("oci:layout", options)[1:3])
    tell(machine.commit("plain.tar")[1:2])
    machine.commit("named.tar", CommitOptions(name="n", owner="7:8", timestamp=99,
                   edits=options.edits))
"""
    assert run_harness(lone_workplace, source) == [["some/name", "1"], ["web"]]
    named = lone_workplace.path / "named.tar"
    config = config_of(named)["config"]
    assert isinstance(config, dict)
    assert (config["Env"], config["Cmd"]) == (["A=b"], ["/bin/sh", "-c", "x"])
    entry = top_layer(named)["srv"]
    assert (entry.uid, entry.gid, entry.mtime) == (7, 8, 99)


def test_committed_image_starts_as_the_machine_was(workplace: Workplace) -> None:
    source = f"""
with Machine("base.tar") as machine:
    machine.succeed({_SCRIPT!r})
    machine.commit("second.tar")
with Machine("second.tar") as again:
    tell(again.succeed("stat -c '%n %F %a %u:%g' /srv/* /srv/data/deep/f; ls /etc"))
    tell([change.path for change in again.diff()])
"""
    told, changes = run_harness(workplace, source)
    assert isinstance(told, str)
    assert "/srv/data directory 2775 1000:2000\n" in told
    assert "/srv/data/deep/f regular file 4755 1000:2000\npasswd\n" in told
    assert "/srv/null character special file" in told
    assert changes == []


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(workplace: Workplace) -> None:
    source = """
os.mkdir("scratch")
with Machine("base.tar", options=MachineOptions(tmpdir="scratch")) as machine:
    machine.execute("while :; do echo x > /tmp/x; done >/dev/null 2>&1 &")
    for output in ("missing/out.tar", "/proc/out.tar", "/dev/null/out", "-"):
        try:
            machine.commit(output)
        except Exception as error:
            tell(type(error).__name__)
    for options in (dict(owner="me"), dict(compression="rar"), dict(tag="a b"), dict(name="?")):
        try:
            machine.commit("out.tar", CommitOptions(**options))
        except Exception as error:
            tell(type(error).__name__)
    machine.write_text("/tmp/alive", "")
    machine.wait_until_succeeds("rm /tmp/x", timeout=20)
    tell([len(os.listdir("scratch")), os.path.exists("out.tar")])
"""
    assert run_harness(workplace, source) == [
        *["OutputError"] * 3,
        *["UsageError"] * 5,
        [2, False],
    ]


def test_refused_output_is_an_error_and_the_machine_goes_on(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.succeed("echo x > /srv")
    for output in ("/dev/full", "/out.tar", "oci:/layout"):
        try:
            machine.commit(output)
        except Exception as error:
            tell(type(error).__name__)
    tell(machine.succeed("cat /srv"))
    tell(len(machine.diff()))
"""
    assert run_harness(lone_workplace, source) == [*["OutputError"] * 3, "x\n", 1]
