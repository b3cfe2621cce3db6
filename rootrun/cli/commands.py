"""The main job's command, with its options, as data."""

from rootrun.cli import options
from rootrun.cli.grammar import Command

MAIN = Command(
    "",
    (
        "usage: rootrun [--from IMAGE] [OPTION ...] (--script FILE ... | -- COMMAND [ARG ...])",
        "others: cache completion doctor export help layered merge prefetch pull push",
        "        shell shell-image test",
    ),
    (options.IMAGE, options.SANDBOX, options.LAYER_OF_ANY, options.OUTPUT, options.GENERAL),
    epilog="""\
(*) for the image alone: --config '{"User": "app"}', '{"WorkingDir": "/app"}'
Example:  rootrun --from base.tar --script setup.sh
     or:  rootrun --from oci:base -o oci:new --network host -- apt-get install -y nginx
Exit status: the script's; 128+N signal, 124 timeout, 125 rootrun, 126 and 127 cannot run""",
    takes_command=True,
)
