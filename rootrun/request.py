"""What the user asked for, validated, as one frozen value."""

import os
from enum import Enum
from pathlib import Path

from rootrun.dataclass import dataclass, field
from rootrun.image.compression import Compression
from rootrun.image.edits import ConfigEdits
from rootrun.image.reference import ImageReference, OutputReference
from rootrun.layer.policy import LayerPolicy
from rootrun.namedtuple import NamedTuple

STDIN = Path("-")


class NetworkMode(Enum):
    """What the script sees of the network."""

    NONE = "none"  # its own loopback, nothing else
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A path of the host, seen by the script at ``destination`` (absolute, inside)."""

    source: Path
    destination: str
    read_only: bool = False
    covers_symlink: bool = False  # what the image has there may be one


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyIn:
    """A file, or a directory's or tar's content, copied to ``destination`` before the script.

    A tar is unpacked if ``destination`` ends in a slash.
    """

    source: Path
    destination: str = "/"
    copies_dirlinks: bool = False  # symlinks to directories become directories
    sets_modes: bool = False  # those of the source, of directories that are there too


class HelperKind(Enum):
    """What ``--with`` can make in an image that lacks it."""

    FAKE_NSS = "fake-nss"
    CA_CERTIFICATES = "ca-certificates"
    BIN_SH = "bin-sh"
    USR_BIN_ENV = "usr-bin-env"
    SHADOW = "shadow"
    TMP = "tmp"


class Helper(NamedTuple):
    """One ``--with``."""

    kind: HelperKind
    path: str = ""  # of CA_CERTIFICATES on this host; of BIN_SH and USR_BIN_ENV in the image

    @property
    def in_words(self) -> str:
        """As the user says it, but for the place of a file of the host."""
        is_on_host = self.kind is HelperKind.CA_CERTIFICATES
        path = os.path.basename(self.path) if is_on_host else self.path
        return f"{self.kind.value}={path}" if path else self.kind.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """Where a run works: the cache (None for none) and the place of its scratch tree."""

    cache_directory: Path | None
    scratch_parent: Path | None  # --tmpdir or TMPDIR; None: beside the cache, else /tmp
    keep_on_failure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """How the script runs."""

    id_map: str = "auto"  # auto, root, subids, single
    rootfs: str = "auto"  # auto, overlay, copy
    emulate: str = "auto"  # auto, or a fakeroot.level.Level
    seccomp: str = "auto"  # or a sandbox.denials.Denials
    no_new_privs: bool = False  # also where the id map does not ask for it
    network: NetworkMode = NetworkMode.NONE
    binds: tuple[Bind, ...] = ()
    tmpfs: tuple[str, ...] = ()  # absolute paths inside
    user: str | None = None  # USER[:GROUP], None: root
    working_directory: str | None = None  # None: /
    timeout_s: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None
    disk_bytes: int | None = None  # of what is changed
    nofile: int | None = None
    cpus: float | None = None


class ImageChoice(NamedTuple):
    """Which image is meant: where it is, and which of several there."""

    reference: ImageReference | None  # None: an empty root
    ref: str | None  # NAME:TAG
    architecture: str | None  # as parse_platform takes it


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One run. ``scripts`` run in order, or ``command`` does; one of both is empty, or both.

    Each script makes a layer of its own unless ``is_squashed``. Without steps what is brought in
    makes one.
    """

    base: ImageReference | None  # None: an empty root
    base_ref: str | None = None  # NAME:TAG, picks one of several images
    architecture: str | None = None  # a GOARCH name, None: the base's or the machine's
    scripts: tuple[Path, ...] = ()
    command: tuple[str, ...] = ()
    copies: tuple[CopyIn, ...] = ()
    helpers: tuple[Helper, ...] = ()
    registrations: tuple[Path, ...] = ()  # of paths for a Nix database
    extra_scripts: tuple[Path, ...] = ()  # run by programs of the host, before the others
    references: tuple[Path, ...] = ()  # graphs of paths to add where they are mentioned
    output: OutputReference
    name: str
    tag: str | None = None  # None: from the content
    edits: ConfigEdits
    created: str  # RFC 3339, as it stands in the config
    policy: LayerPolicy = field(default_factory=LayerPolicy)
    compression: Compression = Compression.NONE
    max_layers: int | None = None
    sandbox: Sandbox = field(default_factory=Sandbox)
    scratch: Scratch
    is_checked: bool = False  # run twice, and compared
    is_squashed: bool = False  # all scripts make one layer
    has_step_cache: bool = False

    @property
    def has_steps(self) -> bool:
        """Whether anything is run in the image."""
        return bool(self.scripts or self.command)

    @property
    def has_layer(self) -> bool:
        """Whether there is anything to make a layer of."""
        brought = (*self.copies, *self.helpers, *self.registrations, *self.extra_scripts)
        return self.has_steps or bool(brought)

    @property
    def image_choice(self) -> ImageChoice:
        """The base."""
        return ImageChoice(self.base, self.base_ref, self.architecture)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One export: the merged tree of an image, as a tar or a directory."""

    image: ImageReference
    image_ref: str | None = None  # NAME:TAG, picks one of several images
    architecture: str | None = None
    output: Path  # ``-`` for stdout
    is_directory: bool = False
    mtime_s: int = 1  # of every path
    compression: Compression = Compression.NONE
    sandbox: Sandbox = field(default_factory=Sandbox)  # id_map and rootfs count
    scratch: Scratch

    @property
    def image_choice(self) -> ImageChoice:
        """The image to export."""
        return ImageChoice(self.image, self.image_ref, self.architecture)
