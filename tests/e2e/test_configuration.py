"""The options that edit the image's configuration, and what the script sees of them."""

import json

import pytest

from tests.e2e.test_command import ran
from tests.e2e.test_images import runtime
from tests.support.workplace import Workplace, busybox_layer, content_of

pytestmark = pytest.mark.userns

CONFIG = {
    "Cmd": ["/bin/sh"],
    "Env": ["A=config", "B=config"],
    "Labels": {"from": "config"},
    "StopSignal": "SIGINT",
    "WorkingDir": "/config",
    "X-Unknown": {"kept": [1, None]},
}


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "file"])
def test_config_is_merged_and_options_win(inline: bool, workplace: Workplace) -> None:
    text = json.dumps(CONFIG)
    workplace.write("config.json", text)
    args = ("--config", text if inline else "config.json", "--env", "A=option", "--label", "l=1")
    ran(workplace, *args, "-o", "o.tar", "--", "sh", "-c", "echo $A $B $(pwd) > /said")
    output = workplace.path / "o.tar"
    assert runtime(output) == {
        **CONFIG,
        "Env": ["A=option", "B=config"],
        "Labels": {"from": "config", "l": "1"},
    }
    assert content_of(output, "said") == b"option config /\n"


def test_null_in_a_config_removes_what_the_base_says(workplace: Workplace) -> None:
    workplace.base("base.tar", busybox_layer(), config={"Cmd": ["x"], "Env": ["A=1"], "User": "7"})
    merge = '{"Cmd": null, "Env": null, "User": null}'
    ran(workplace, "--config", merge, "-o", "o.tar", "--", "true")
    assert runtime(workplace.path / "o.tar") == {}


def test_each_option_of_the_configuration_is_written(workplace: Workplace) -> None:
    workplace.base("base.tar", busybox_layer(), config={"Labels": {"old": "1"}, "Cmd": ["/old"]})
    options = (
        *("--cmd", '["/bin/a", "b c"]', "--entrypoint", "exec /e", "--label", "k=v=w"),
        *("--label", "bare", "--expose", "80", "--expose", "53/udp", "--volume", "/data/"),
        *("--user", "app:extra", "--workdir", "/tmp/.//"),
    )
    ran(workplace, *options, "-o", "o.tar", "--", "sh", "-c", "id -un; pwd")
    assert runtime(workplace.path / "o.tar") == {
        "User": "app:extra",
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Entrypoint": ["/bin/sh", "-c", "exec /e"],
        "Cmd": ["/bin/a", "b c"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/tmp",
        "Labels": {"old": "1", "k": "v=w", "bare": ""},
    }


def test_user_and_workdir_are_where_the_script_runs(workplace: Workplace) -> None:
    script = "echo $(id -un) $(id -gn) $(pwd) > /tmp/said"
    options = ("-u", "app:extra", "-w", "/tmp", "-o", "o.tar")
    ran(workplace, *options, "--", "sh", "-c", script)
    assert content_of(workplace.path / "o.tar", "tmp/said") == b"app extra /tmp\n"


def test_variables_come_from_files_options_and_the_caller(workplace: Workplace) -> None:
    workplace.base("base.tar", busybox_layer(), config={"Env": ["BASE=1", "A=base"]})
    workplace.write("env", "# comment\nA=file\n\nSPACES=a  b \nFROM_CALLER\n")
    workplace.write("setup.sh", 'echo "$BASE,$A,$SPACES,$FROM_CALLER,$SECRET" > /said\n')
    options = ("--env-file", "env", "-e", "A=option", "-e", "EMPTY=")
    done = workplace.run(
        *("--from", "base.tar", *options, "--script", "setup.sh", "-o", "o.tar"),
        env={"FROM_CALLER": "c", "SECRET": "s"},
    )
    assert done.returncode == 0, done.stderr.decode()
    output = workplace.path / "o.tar"
    assert content_of(output, "said") == b"1,option,a  b ,c,\n"
    assert runtime(output)["Env"] == [
        *("BASE=1", "A=option", "SPACES=a  b ", "FROM_CALLER=c", "EMPTY=")
    ]
