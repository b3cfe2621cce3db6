"""The options of ``rootrun test``, as data: the test's own, and those of its machines."""

from rootrun.cli import image_values, options, values
from rootrun.cli.grammar import Command, Group, Option, switch


def parse_machine(text: str) -> tuple[str, str]:
    """Return the name and the image that ``NAME=IMAGE`` says."""
    name, equals, image = values.parse_text(text).partition("=")
    if not name or not equals or not image:
        raise ValueError("not NAME=IMAGE")
    return name, parse_image(image)


def parse_image(text: str) -> str:
    """Return what ``--from`` takes, as it is."""
    image_values.parse_base(values.parse_text(text))
    return text


_TIMEOUT = Option(
    ("--timeout",), "end the test after 30, 30s, 5m, 1h", "DURATION", values.parse_duration
)

# What a script's header can say too, for all machines or for one.
MACHINE = Group(
    "Machines",
    (
        Option(("--from",), "image of all machines", "IMAGE", parse_image, dest="from_image"),
        *options.IMAGE.named("--from-ref", "--arch"),
        options.IMAGE.named("--env")[0]._replace(help="set for all that runs in them"),
        *options.SANDBOX.named("--bind", "--tmpfs"),
        options.SANDBOX.named("--network")[0]._replace(
            help="none but that of the test, or host instead: none, host"
        ),
        *options.SANDBOX.named("--memory", "--disk", "--pids", "--nofile", "--cpus"),
        *options.SANDBOX.named("--rootfs", "--emulate"),
    ),
)
# What is one for all machines of a test.
TEST = Group("Test", (_TIMEOUT, options.ID_MAP))

_MACHINES = Group(
    MACHINE.title,
    (
        Option(
            ("--machine",),
            "one by this name; repeated: several",
            "NAME=IMAGE",
            parse_machine,
            action="append",
            dest="machines",
        ),
        *MACHINE.options,
        options.ID_MAP,
    ),
)

TEST_COMMAND = Command(
    "test",
    ("usage: rootrun test FILE [OPTION ...]",),
    (
        Group(
            TEST.title,
            (
                switch("-i", "--interactive", text="a prompt of Python with the machines"),
                switch("--keep-going", text="go on after a subtest that failed"),
                _TIMEOUT,
                options.JSON,
            ),
        ),
        _MACHINES,
        Group(
            "General",
            (
                *(options.CACHE_DIRECTORY, options.NO_CACHE, options.SCRATCH_PARENT),
                *options.MESSAGES,
                options.HELP,
            ),
        ),
    ),
    epilog="""
Runs FILE, a test in Python, which has its machines by their names. Which there
are its header says, or the options, which win. Exit status: 0 passed, 1 failed,
124 timeout, 125 no test could be run. See TESTING in rootrun(1).

Example:
  rootrun test --machine server=base.tar --machine client=base.tar web.py""",
    positional=Option(("test_script",), "test to run", "FILE", values.parse_path),
)
