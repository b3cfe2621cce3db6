"""Connections out of a machine to wherever the host gets, by pasta(1): as a user's, and none in."""

from pathlib import Path

INTERFACE = "out0"
RESOLVERS_PATH = "/etc/resolv.conf"

# As QEMU has them: those of the host would be out of the machine's reach.
_ADDRESS, _ROUTER, _RESOLVER = "10.0.2.15", "10.0.2.2", "10.0.2.3"
RESOLVERS = f"nameserver {_RESOLVER}\n"


def pasta_command(namespace: Path) -> list[str]:
    """Return the command that connects a network namespace, in sight at a path.

    No port of one side is seen on the other, nor what listens on the host's loopback alone.
    """
    return [
        *("pasta", "--foreground", "--quiet", "--config-net"),
        *("--netns", str(namespace), "--netns-only", "--runas", "0"),
        *("--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"),
        *("--no-map-gw", "--ns-ifname", INTERFACE),
        *("--address", _ADDRESS, "--netmask", "24", "--gateway", _ROUTER),
        *("--dns-forward", _RESOLVER),
    ]


def is_default_route(line: str) -> bool:
    """Say whether a line of /proc/net/route leads to everywhere by pasta."""
    fields = line.split()
    return fields[:2] == [INTERFACE, "00000000"]
