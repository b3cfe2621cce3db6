"""What can be asked for, beside what ``sandbox.serving`` has: the same words on both sides."""

MACHINE, NETWORK = "machine", "network"  # of the hub
BOOT, CRASH, END, SHUT_DOWN, STATE = "boot", "crash", "end", "shut down", "state"  # of a keeper
HOSTS = "hosts"
