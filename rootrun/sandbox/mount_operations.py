"""The kinds of steps that furnish a rootfs, as values: ``describe`` tells, ``execute`` does.

``execute`` gets an O_PATH descriptor of the rootfs, runs before the root switch, and returns None
or a note for the log. It raises ``OSError``, or ``SandboxError`` about what stands in the rootfs.
"""

import os
import stat
from contextlib import suppress

from rootrun.annotation import Protocol
from rootrun.errors import SandboxError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox import mount_api
from rootrun.sandbox.beneath import open_beneath, open_mount_point

NULL_DEVICE = "/dev/null"


class Operation(Protocol):
    """One step."""

    def describe(self) -> str:
        """Return the step as one line for the log."""

    def execute(self, root_fd: int) -> str | None:
        """Do it below ``root_fd``."""


class NewFilesystem(NamedTuple):
    """A fresh file system on an ordinary directory."""

    destination: str
    fstype: str
    options: tuple[tuple[str, str | None], ...] = ()
    attributes: int = 0  # MOUNT_ATTR_*
    is_optional: bool = False

    def describe(self) -> str:
        options = ",".join(
            key if value is None else f"{key}={value}" for key, value in self.options
        )
        return f"mount {self.fstype} on {self.destination} ({options or 'no options'})"

    def execute(self, root_fd: int) -> str | None:
        try:
            mount_fd = mount_api.new_filesystem(self.fstype, self.options, self.attributes)
        except OSError as error:
            if self.is_optional:
                return f"no {self.fstype} on {self.destination}: {error.strerror}"
            raise
        try:
            _attach(mount_fd, root_fd, self.destination)
        finally:
            os.close(mount_fd)
        return None


class Bind(NamedTuple):
    """A file or tree of the host, with all that is mounted in it, on its like in the rootfs."""

    source: str
    destination: str
    is_read_only: bool = False
    is_optional: bool = False  # without the source, or a place for it, nothing happens

    def describe(self) -> str:
        return f"bind {self.source} on {self.destination}{' read-only' * self.is_read_only}"

    def execute(self, root_fd: int) -> str | None:
        try:
            self._bind(root_fd)
        except (FileNotFoundError, SandboxError) as error:
            if self.is_optional:
                return f"not bound: {error}"
            raise
        return None

    def _bind(self, root_fd: int) -> None:
        mount_fd = mount_api.copy_tree(self.source)
        try:
            _attach(mount_fd, root_fd, self.destination, is_read_only=self.is_read_only)
        finally:
            os.close(mount_fd)


class FirstThatWorks(NamedTuple):
    """A ladder: the first step that the kernel allows."""

    steps: tuple[Operation, ...]

    def describe(self) -> str:
        return "; else ".join(step.describe() for step in self.steps)

    def execute(self, root_fd: int) -> str | None:
        refused: list[str] = []
        for step in self.steps[:-1]:
            try:
                step.execute(root_fd)
            except OSError as error:
                refused.append(f"{step.describe()}: {error.strerror}")
            else:
                return "; ".join(refused) or None
        self.steps[-1].execute(root_fd)
        return "; ".join(refused)


class ReadOnly(NamedTuple):
    """Paths that can only be read from now on, where they exist."""

    paths: tuple[str, ...]

    def describe(self) -> str:
        return f"make read-only {' '.join(self.paths)}"

    def execute(self, root_fd: int) -> None:
        for path in self.paths:
            with suppress(FileNotFoundError):
                _cover(root_fd, path, is_masked=False)


class Masked(NamedTuple):
    """Paths that look empty from now on, where they exist."""

    paths: tuple[str, ...]

    def describe(self) -> str:
        return f"mask {' '.join(self.paths)}"

    def execute(self, root_fd: int) -> None:
        for path in self.paths:
            with suppress(FileNotFoundError):
                _cover(root_fd, path, is_masked=True)


class DeviceNodes(NamedTuple):
    """Devices of the host, bound on new files: a user namespace cannot make them itself."""

    directory: str
    nodes: tuple[tuple[str, str], ...]  # name, path on the host; missing ones are left out

    def describe(self) -> str:
        return f"bind devices in {self.directory}: {' '.join(name for name, _ in self.nodes)}"

    def execute(self, root_fd: int) -> None:
        directory_fd = open_beneath(root_fd, self.directory)
        try:
            for name, source in self.nodes:
                _bind_device(source, directory_fd, name)
        finally:
            os.close(directory_fd)


class NewFiles(NamedTuple):
    """Directories, files and symlinks in a file system that is ours."""

    directory: str
    directories: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes], ...] = ()  # mode 0555: they are there to be executed
    symlinks: tuple[tuple[str, str], ...] = ()  # name, target

    def describe(self) -> str:
        names = (*self.directories, *(f[0] for f in self.files), *(s[0] for s in self.symlinks))
        return f"make in {self.directory}: {' '.join(names)}"

    def execute(self, root_fd: int) -> None:
        at = open_beneath(root_fd, self.directory)
        try:
            for name in self.directories:
                os.mkdir(name, dir_fd=at)
            for name, content in self.files:
                _write_file(at, name, content)
            for name, target in self.symlinks:
                os.symlink(target, name, dir_fd=at)
        finally:
            os.close(at)


def _attach(mount_fd: int, root_fd: int, destination: str, *, is_read_only: bool = False) -> None:
    is_directory = stat.S_ISDIR(os.fstat(mount_fd).st_mode)
    target_fd = open_mount_point(root_fd, destination, is_directory=is_directory)
    try:
        if is_read_only:
            mount_api.attach_read_only(mount_fd, target_fd)
        else:
            mount_api.attach(mount_fd, target_fd)
    finally:
        os.close(target_fd)


def _cover(root_fd: int, path: str, *, is_masked: bool) -> None:
    target_fd = open_beneath(root_fd, path)
    mount_fd = -1
    try:
        if not is_masked:
            mount_fd = mount_api.copy_tree("", at=target_fd)
        elif stat.S_ISDIR(os.fstat(target_fd).st_mode):
            mount_fd = mount_api.new_filesystem("tmpfs")
        else:
            mount_fd = mount_api.copy_tree(NULL_DEVICE, recursive=False)
        mount_api.attach_read_only(mount_fd, target_fd)
    finally:
        os.close(target_fd)
        if mount_fd >= 0:
            os.close(mount_fd)


def _bind_device(source: str, directory_fd: int, name: str) -> None:
    try:
        mount_fd = mount_api.copy_tree(source, recursive=False)
    except FileNotFoundError:
        if source == NULL_DEVICE:
            raise
        return
    try:
        flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        target_fd = os.open(name, flags, 0o666, dir_fd=directory_fd)
        try:
            mount_api.attach(mount_fd, target_fd)
        finally:
            os.close(target_fd)
    finally:
        os.close(mount_fd)


def _write_file(directory_fd: int, name: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(name, flags, 0o555, dir_fd=directory_fd)
    with open(fd, "wb") as file:
        file.write(content)
