"""The options as data: parser, help, completions and the man page's test all read these rows."""

from rootrun.cli import config_values, image_values, values
from rootrun.cli.grammar import Group, Option, choice, switch

FROM_REF = Option(
    ("--from-ref",), "which of several images in IMAGE", "NAME:TAG", values.parse_word
)
ARCHITECTURE = Option(
    ("--arch",),
    "architecture of the image: amd64, arm64",
    "GOARCH",
    image_values.parse_architecture,
)
ID_MAP = choice(
    "--idmap", "MAP", text="ids of the container", choices=("auto", "root", "subids", "single")
)
ROOTFS = choice("--rootfs", "HOW", text="how the root is made", choices=("auto", "overlay", "copy"))
TIMESTAMP = Option(
    ("--timestamp",),
    "mtime of what is written [SOURCE_DATE_EPOCH or 1]",
    "S",
    values.parse_timestamp,
)
COMPRESSION = choice(
    "--compression", "HOW", text="of what is written", choices=("none", "gzip", "zstd")
)
CACHE_DIRECTORY = Option(
    ("--cache-dir",), "cache of layers and steps [~/.cache/rootrun]", "DIR", values.parse_path
)
NO_CACHE = switch("--no-cache", text="use and leave no cache")
SCRATCH_PARENT = Option(("--tmpdir",), "where to work [TMPDIR]", "DIR", values.parse_path)
NAME = Option(("--name",), "name of the image", "NAME", image_values.parse_name)
TAG = Option(("-t", "--tag"), "TAG or NAME:TAG [from content]", "TAG", image_values.parse_tag)
UNUSED_FOR = Option(
    ("--unused-for",), "only what no run used for 30d, 12h", "DURATION", values.parse_duration
)
JSON = switch("--json", text="one JSON object to stdout")

PROGRESS = choice(
    "--progress", "HOW", text="of long stages", choices=("auto", "plain", "tty", "none")
)
MESSAGES = (
    Option(("-q", "--quiet"), "warnings only", action="count", default=0),
    Option(("-v", "--verbose"), "each mount and command as well", action="count", default=0),
    switch("--debug", text="tracebacks, for a report of a bug"),
)
HELP = switch("-h", "--help", text="show this")
VERSION = switch("-V", "--version", text="show the version")

IMAGE = Group(
    "Image",
    (
        Option(
            ("--from",),
            "base: PATH, TRANSPORT:PATH, - or scratch",
            "IMAGE",
            image_values.parse_base,
            dest="base",
        ),
        FROM_REF,
        ARCHITECTURE,
        Option(
            ("--config",),
            "merge JSON, or a file of it, into the config",
            "FILE",
            config_values.parse_config,
            dest="config",
        ),
        Option(
            ("-e", "--env"),
            "set in the image and for the script",
            "K=V",
            config_values.parse_variable,
            action="append",
        ),
        Option(
            ("--env-file",),
            "the same, a K=V a line",
            "FILE",
            config_values.parse_env_file,
            action="append",
        ),
        Option(("--cmd",), "JSON array, or a shell's line", "CMD", config_values.parse_command),
        Option(("--entrypoint",), "likewise", "CMD", config_values.parse_command, shares_row=True),
        Option(
            ("-w", "--workdir"),
            "the image's; the script starts there [/] (*)",
            "DIR",
            values.parse_absolute,
        ),
        Option(
            ("-u", "--user"),
            "the image's; the script runs as it [root] (*)",
            "USER[:GROUP]",
            config_values.parse_user,
        ),
        Option(("--label",), "add a label", "K=V", config_values.parse_label, action="append"),
        Option(("--expose",), "add a port", "PORT", config_values.parse_port, action="append"),
        Option(
            ("--volume",), "declare a volume", "PATH", config_values.parse_volume, action="append"
        ),
        Option(
            ("--created",),
            "now, @SECONDS or RFC 3339 [1970-01-01T00:00:01Z]",
            "DATE",
            values.parse_created,
        ),
    ),
)

SANDBOX = Group(
    "Sandbox",
    (
        Option(
            ("--script",),
            "run FILE, - for stdin; repeated: a layer each",
            "FILE",
            values.parse_path,
            action="append",
            dest="scripts",
        ),
        Option(
            ("--copy",),
            "copy in file, directory or tar (DST/ unpacks) [to /]",
            "PATH[:DST]",
            values.parse_copy,
            action="append",
            dest="copies",
        ),
        switch("--copy-dirlinks", text="copy what symlinks to directories lead to, or not"),
        Option(
            ("--keep-dirlinks",),
            "copy symlinks to directories as they are",
            action="store_true",
            default=False,
            shares_row=True,
        ),
        Option(
            ("--with",),
            f"make what is missing: {', '.join(values.HELPERS[:2])}, ...",
            "HELPER[=PATH]",
            values.parse_helper,
            choices=values.HELPERS,
            action="append",
            dest="helpers",
        ),
        Option(
            ("--nix-db",),
            "register store paths that are copied in",
            "FILE",
            values.parse_path,
            action="append",
            dest="registrations",
        ),
        Option(
            ("--references",),
            "add the paths in FILE that the layer mentions",
            "FILE",
            values.parse_path,
            action="append",
        ),
        Option(
            ("--extra-script",),
            "run FILE by programs of this host, at the image's root",
            "FILE",
            values.parse_path,
            action="append",
            dest="extra_scripts",
        ),
        Option(
            ("--bind",),
            "show SRC of this host at DST",
            "SRC:DST[:ro]",
            values.parse_bind,
            action="append",
            dest="binds",
        ),
        Option(
            ("--tmpfs",),
            "an empty tmpfs at DST",
            "DST",
            values.parse_mount_point,
            action="append",
        ),
        choice("--network", "NET", text="what the script reaches", choices=("none", "host")),
        Option(
            ("--timeout",),
            "end the script after 30, 30s, 5m, 1h",
            "DURATION",
            values.parse_duration,
        ),
        Option(("--memory",), "end it beyond 512M, 2G", "SIZE", values.parse_size),
        Option(("--disk",), "end it when it has changed more", "SIZE", values.parse_size),
        Option(("--pids",), "processes and threads at a time", "N", values.parse_count),
        Option(("--nofile",), "open files of a process", "N", values.parse_count),
        Option(("--cpus",), "processors: 2, 0.5", "N", values.parse_amount),
        ID_MAP,
        ROOTFS,
        choice(
            "--emulate",
            "LEVEL",
            text="what a lone id cannot do",
            choices=("auto", "record", "full", "fast", "off"),
        ),
        choice(
            "--seccomp",
            "HOW",
            text="deny dangerous system calls",
            choices=("auto", "on", "socketcall", "off"),
        ),
        switch("--no-new-privs", text="setuid programs gain nothing"),
    ),
)

LAYER = Group(
    "Layer",
    (
        TIMESTAMP,
        Option(("--owner",), "root, keep or UID:GID [root]", "OWNER", values.parse_owner),
        COMPRESSION,
        switch("--squash", text="make one layer of all scripts"),
        Option(("--max-layers",), "refuse to make more than N in all", "N", values.parse_count),
        switch("--step-cache", text="take the layer of a script that has run before"),
        switch("--check", text="run twice, fail if the layers differ"),
    ),
)

LAYER_OF_ANY = Group(
    LAYER.title,
    (
        *LAYER.options,
        Option(
            ("--compat",),
            "make layer and config as it does: dockertools",
            "PROGRAM",
            values.one_of("dockertools"),
            choices=("dockertools",),
        ),
    ),
)

OUTPUT = Group(
    "Output",
    (
        Option(
            ("-o", "--output"),
            "file, oci:DIR, oci-archive:FILE or - [BASE-SCRIPT.tar]",
            "OUTPUT",
            image_values.parse_output,
        ),
        NAME,
        TAG,
        Option(("--iidfile",), "write the image id to FILE", "FILE", values.parse_path),
        Option(("--digestfile",), "write the manifest's digest to FILE", "FILE", values.parse_path),
        Option(("--metadata-file",), "write both and the name as JSON", "FILE", values.parse_path),
        JSON,
    ),
)

GENERAL = Group(
    "General",
    (
        CACHE_DIRECTORY,
        NO_CACHE,
        SCRATCH_PARENT,
        switch("--keep", text="keep the scratch tree if the run fails"),
        *MESSAGES,
        PROGRESS,
        switch("--timings", text="tell where the time went"),
        HELP._replace(help="show this, or the version"),
        VERSION._replace(shares_row=True),
    ),
)
