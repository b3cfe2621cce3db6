"""Choose a map, enter the namespaces, and print what is in force, or the error, as JSON."""

import json
import os
import sys

from rootrun.errors import RootrunError
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.userns import enter_namespaces


def entered(requested: str) -> dict[str, object]:
    """Enter and tell."""
    try:
        id_map = enter_namespaces(choose_id_map(requested))
    except RootrunError as error:
        return {"error": type(error).__name__, "message": str(error), "hint": error.hint}
    with open("/proc/self/uid_map") as uids, open("/proc/self/gid_map") as gids:
        maps = [[line.split() for line in file] for file in (uids, gids)]
    return {
        "kind": id_map.kind.value,
        "reason": id_map.reason,
        "key": id_map.key,
        "uid": os.getuid(),
        "gid": os.getgid(),
        "uids": maps[0],
        "gids": maps[1],
    }


if __name__ == "__main__":
    json.dump(entered(sys.stdin.read()), sys.stdout)
