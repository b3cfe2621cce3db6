"""What to write instead, for who comes from the driver of NixOS."""

import re

from rootrun.errors import RootrunError
from rootrun.testing.machine import Machine

_NO_SYSTEMD = (
    "there is no systemd: start the program itself by machine.start(COMMAND), and wait with "
    "wait_for_open_port or wait_until_succeeds"
)
_NO_CONSOLE = "a machine has no screen, keyboard or console; a service has its log"
MISSING_METHODS = {
    **dict.fromkeys(
        (
            *("wait_for_unit", "systemctl", "start_job", "stop_job", "get_unit_info"),
            *("get_unit_property", "require_unit_state"),
        ),
        _NO_SYSTEMD,
    ),
    **dict.fromkeys(
        (
            *("wait_for_console_text", "get_console_log", "wait_until_tty_matches"),
            *("get_tty_text", "send_chars", "send_key", "send_console", "console_interact"),
            *("screenshot", "get_screen_text", "get_screen_text_variants", "wait_for_text"),
            *("wait_for_x", "wait_for_window", "get_window_names", "send_monitor_command"),
        ),
        _NO_CONSOLE,
    ),
    **dict.fromkeys(
        ("copy_from_host", "copy_from_host_via_shell"), "use copy_to(SOURCE, DESTINATION)"
    ),
    **dict.fromkeys(("copy_from_vm", "copy_from_machine"), "use copy_from(SOURCE, DESTINATION)"),
    "sleep": "use time.sleep, or better wait for what is to come",
    "log": "use log.info(TEXT)",
    "nested": "use subtest(NAME), or log.nested(TEXT)",
    "connect": "leave it out: a machine that has started takes commands",
    "wait_for_shutdown": "leave it out: shutdown() returns when the machine is down",
    "wait_for_open_unix_socket": 'use wait_until_succeeds("test -S PATH")',
    "wait_for_qmp_event": "a machine is no virtual one",
    "forward_port": "a machine can be asked from a second one, on the same network",
    "release": "use close()",
    "require_up": "use start()",
}
_NAMES = {
    "machine": "machines are declared in the header, or by --from or --machine",
    "driver": "what it has is there by name: machines, start_all, subtest",
    "polling_condition": "test the condition after each step",
    "vlans": "use networks",
    "machines_qemu": "use machines",
    "machines_nspawn": "use machines",
    "run_tests": "there is one in the prompt of --interactive only",
    "test_script": "there is one in the prompt of --interactive only",
}
_BY_NAME = "give all but commands, paths and ports by name, as in timeout=60 or address=..."


def hint_for(error: BaseException) -> str | None:
    """Return what to write or do instead, None where that is not known."""
    if isinstance(error, RootrunError):
        return error.hint
    if isinstance(error, AttributeError) and isinstance(error.obj, Machine):
        return MISSING_METHODS.get(error.name or "")
    if isinstance(error, NameError) and error.name:
        is_network = re.fullmatch(r"vlan\d+", error.name)
        return "networks have the names of the test" if is_network else _NAMES.get(error.name)
    if isinstance(error, TypeError) and str(error).startswith("Machine."):
        return _BY_NAME
    if isinstance(error, ValueError) and "too many values to unpack" in str(error):
        return "execute() returns three values: status, stdout and stderr"
    return None
