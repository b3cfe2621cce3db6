"""What can be asked for, beside what ``sandbox.serving`` has: the same words on both sides."""

MACHINE, NETWORK = "machine", "network"  # of the hub
BOOT, CRASH, END, SHUT_DOWN, STATE = "boot", "crash", "end", "shut down", "state"  # of a keeper
HOSTS, OUTGOING = "hosts", "outgoing"
END_TOLD = "end told"
DIFF, COMMIT, SAVE = "diff", "commit", "save"  # of its files
COPY_IN, COPY_OUT = "copy in", "copy out"
START_SERVICE, SERVICE, SERVICES = "start a service", "service", "services"
STACKS = "stacks"
PROCESSES, SOCKETS, USED = "processes", "sockets", "used"
