"""The system calls that the script is denied, tried by real programs of 64 and of 32 bits."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from rootrun.sandbox import bpf
from tests.support.program import installation
from tests.support.require import require, require_program
from tests.support.restricted import restricted_build, run_below
from tests.support.tarball import Member, directory, file, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of

pytestmark = pytest.mark.userns

SOURCE = Path(__file__).parent / "denied.c"
DENIED = {
    **dict.fromkeys(("AF_ALG", "AF_VSOCK"), "EAFNOSUPPORT"),
    **dict.fromkeys(("add_key", "request_key", "keyctl", "io_uring_setup"), "ENOSYS"),
    **dict.fromkeys(("bpf", "perf_event_open", "userfaultfd", "open_by_handle_at"), "EPERM"),
    **dict.fromkeys(("syslog", "kexec_load", "init_module", "delete_module"), "EPERM"),
}
ALLOWED = dict.fromkeys(("AF_UNIX", "AF_INET", "socketpair"), "made")
OF_64_BITS = {"kexec_file_load": "EPERM", "x32": "ENOSYS", "add_key_i386": "ENOSYS"}
SECCOMP = 317  # on x86-64


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Compile the program for each word size."""
    require(os.uname().machine == "x86_64", "the numbers are those of x86-64")
    made = tmp_path_factory.mktemp("denied")
    compiler = require_program("gcc")
    for name, flags in {"denied": [], "denied32": ["-m32"]}.items():
        argv: list[str | Path] = [compiler, *flags, "-static", "-O1", "-Wall", "-Werror"]
        argv += [SOURCE, "-o", made / name]
        subprocess.run(argv, check=True)
    return {path.name: path.read_bytes() for path in made.iterdir()}


def with_programs(
    place: Workplace, programs: dict[str, bytes], *, architecture: str = "amd64"
) -> Path:
    """Write a base with the programs in /bin."""
    members: list[Member] = [file(f"bin/{n}", c, mode=0o755) for n, c in programs.items()]
    layers = (busybox_layer(), tarball(directory("bin"), *members))
    return place.base("base.tar", *layers, image={"architecture": architecture})


def said(place: Workplace, script: str, *args: str, base: Path) -> dict[str, str]:
    """Return the error of each call that ``script`` made."""
    return parsed(place.build(f"({script}) > /said\n", *args, base=base))


def parsed(output: Path) -> dict[str, str]:
    """Return what stands in /said."""
    return dict(line.split() for line in content_of(output, "said").decode().splitlines())


def test_calls_that_no_build_needs_are_denied_to_programs_of_64_bits(
    any_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    found = said(any_workplace, "denied", base=with_programs(any_workplace, programs))
    assert found == {**DENIED, **ALLOWED, **OF_64_BITS, "getpid_i386": "made"}


def test_programs_of_32_bits_do_not_go_around_it(
    any_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(any_workplace, programs)
    # The GNU C library makes all of its sockets by socketcall(2) there.
    hidden = dict.fromkeys((*ALLOWED, "AF_ALG", "AF_VSOCK"), "ENOSYS")
    multiplexed = dict.fromkeys(("socketcall_unix", "socketcall_alg"), "ENOSYS")
    assert said(any_workplace, "denied32", base=base) == {**DENIED, **hidden, **multiplexed}


def test_sockets_of_programs_of_32_bits_can_be_asked_for(
    workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(workplace, programs)
    found = said(workplace, "denied32", "--seccomp", "socketcall", base=base)
    assert {name: found[name] for name in ALLOWED} == ALLOWED
    assert found["socketcall_unix"] == "made"
    assert found["keyctl"] == "ENOSYS"


def test_an_image_of_32_bits_has_sockets_without_asking(
    workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(workplace, programs, architecture="386")
    assert said(workplace, "denied32", base=base)["socketcall_unix"] == "made"
    found = said(workplace, "denied32", "--seccomp", "on", base=base)
    assert found["socketcall_unix"] == "ENOSYS"


def test_nothing_can_be_put_into_a_terminal_s_input(
    any_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(any_workplace, programs)
    denied = {"TIOCSTI": "EPERM", "TIOCLINUX": "EPERM", "TIOCSTI_high": "EPERM"}
    script = "denied terminal; denied32 terminal > /said32; sleep 1"
    output = any_workplace.build(f"({script}) > /said\n", base=base)
    assert parsed(output) == denied
    assert content_of(output, "said32") == b"TIOCSTI EPERM\nTIOCLINUX EPERM\n"


def test_without_the_filter_the_kernel_itself_answers(
    any_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(any_workplace, programs)
    off = ("--seccomp", "off")
    found = said(any_workplace, "denied; denied terminal; sleep 1", *off, base=base)
    made = ("add_key", "keyctl", "userfaultfd", "getpid_i386", *ALLOWED)
    assert {name: found[name] for name in made} == dict.fromkeys(made, "made")
    others = {"request_key": "ENOKEY", "io_uring_setup": "EFAULT", "add_key_i386": "EINVAL"}
    assert {name: found[name] for name in others} == others
    assert found["TIOCSTI"] in {"made", "EIO"}  # EIO: dev.tty.legacy_tiocsti is 0


def test_the_list_holds_below_the_filter_of_a_nix_build(
    lone_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(lone_workplace, programs)
    output, _ = restricted_build(lone_workplace, "denied > /said\n", base=base)
    assert parsed(output) == {**DENIED, **ALLOWED, **OF_64_BITS, "getpid_i386": "made"}


def test_a_second_step_and_another_user_are_denied_them_too(
    any_workplace: Workplace, programs: dict[str, bytes]
) -> None:
    base = with_programs(any_workplace, programs)
    any_workplace.write("1.sh", "install -m 777 /dev/null /said || touch /said; chmod 777 /said\n")
    any_workplace.write("2.sh", "denied > /said\n")
    steps = ("--script", "1.sh", "--script", "2.sh", "-o", "o.tar")
    done = any_workplace.run("--from", base, *steps)
    assert done.returncode == 0, done.stderr.decode()
    assert parsed(any_workplace.path / "o.tar")["keyctl"] == "ENOSYS"
    found = said(any_workplace, "su app -c denied", base=base)
    assert found["keyctl"] == "ENOSYS"


@pytest.mark.parametrize("kind", ["root", "single"])
def test_a_kernel_without_filters_is_told(
    kind: str,
    root_workplace: Workplace,
    lone_workplace: Workplace,
    programs: dict[str, bytes],
) -> None:
    place = root_workplace if kind == "root" else lone_workplace
    base = with_programs(place, programs)
    forbidding: list[bpf.Item] = [
        *(bpf.load(bpf.OFFSET_NUMBER), bpf.jump_if_equal(SECCOMP, "", "others")),
        *(bpf.answer(bpf.RETURN_ERRNO | errno.ENOSYS), "others", bpf.answer(bpf.RETURN_ALLOW)),
    ]
    place.write("setup.sh", "denied > /said\n")
    rootrun = installation() / "bin" / "rootrun"
    argv: list[str | Path] = [rootrun, "--from", base, "--script", "setup.sh", "-o", "o.tar"]
    done = run_below(bpf.assemble(forbidding), argv, place)
    assert done.returncode == 0, done.stderr.decode()
    told = [line for line in done.stderr.decode().splitlines() if "deny" in line]
    why = "seccomp: Function not implemented: none is denied"
    assert told == [f"rootrun: warning: deny system calls: {why}"]
    assert parsed(place.path / "o.tar")["keyctl"] == "made"
    off = run_below(bpf.assemble(forbidding), [*argv, "--seccomp", "off"], place)
    assert b"deny" not in off.stderr
