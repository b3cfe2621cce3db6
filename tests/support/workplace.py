"""A directory of somebody's in which rootrun is run, and what came out of it."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.images import docker_archive
from tests.support.program import installation, run_as, run_python, run_rootrun
from tests.support.require import require
from tests.support.tarball import Member, directory, file, symlink, tarball
from tests.support.users import Account

_APPLETS = """
sh cat chmod chown cp cut dd df echo env find grep head hostname id ifconfig kill ln ls mkdir
mkfifo mknod mktemp mount mv ping printf ps pwd readlink rm rmdir sed setsid sleep sort stat
su sync tar tee test touch tr true false umask uname wc whoami
"""
PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1000:\nextra:x:2000:app\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """A directory that belongs to ``account`` (None: to the caller, root)."""

    path: Path
    account: Account | None
    options: tuple[str, ...] = ()  # of each build

    def write(self, name: str, content: str | bytes, *, mode: int = 0o644) -> Path:
        """Write the file ``name`` and give it to the account."""
        path = self.path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return self.own(path)

    def own(self, path: Path) -> Path:
        """Give ``path`` to the account."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)
        return path

    def base(self, name: str = "base.tar", *layers: bytes, **options: object) -> Path:
        """Write a docker-archive of ``layers``, of a busybox where there are none."""
        path = docker_archive(self.path / name, layers or [busybox_layer()], **options)  # type: ignore[arg-type] # passed through
        return self.own(path)

    def run(
        self, *args: str | Path, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run rootrun here with ``args``, whatever comes of it."""
        return run_rootrun(args, account=self.account, env=env, cwd=self.path, stdin=stdin)

    def python(self, source: str) -> subprocess.CompletedProcess[bytes]:
        """Run Python ``source`` here, which finds rootrun."""
        return run_python(source, account=self.account, cwd=self.path)

    def shell(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Run ``command`` here by a shell that finds rootrun on its PATH."""
        path = f"{installation() / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin"
        argv = ["/bin/sh", "-c", command]
        return run_as(argv, account=self.account, env={"PATH": path}, cwd=self.path)

    def build(
        self,
        script: str,
        *args: str | Path,
        base: Path | str | None = None,
        output: str = "out.tar",
        env: Mapping[str, str] | None = None,
    ) -> Path:
        """Run ``script`` on ``base`` (None: a busybox), which must work; return the output."""
        if base is None:
            base = self.path / "base.tar"
            if not base.exists():
                self.base()
        self.write("setup.sh", script)
        done = self.run(
            *("--from", base, "--script", "setup.sh", "-o", output, *self.options, *args), env=env
        )
        assert done.returncode == 0, done.stderr.decode()
        return self.path / output


def busybox_layer(*more: Member) -> bytes:
    """Return a layer with a static busybox, its applets, /etc/passwd, /tmp, and ``more``."""
    busybox = shutil.which("busybox")
    require(busybox is not None, "busybox is not installed")
    binary = Path(busybox or "").read_bytes()
    applets = [symlink(f"bin/{name}", "busybox") for name in sorted(_APPLETS.split())]
    return tarball(
        directory("bin"),
        file("bin/busybox", binary, mode=0o755),
        *applets,
        directory("etc"),
        file("etc/passwd", PASSWD),
        file("etc/group", GROUP),
        directory("root", mode=0o700),
        directory("tmp", mode=0o1777),
        *more,
    )


def manifest_of(archive: Path) -> dict[str, object]:
    """Return the one image of a docker-archive's manifest.json."""
    with tarfile.open(archive) as tar:
        (image,) = json.loads(_member(tar, "manifest.json"))
        assert isinstance(image, dict)
        return image


def config_of(archive: Path) -> dict[str, object]:
    """Return the configuration of a docker-archive."""
    with tarfile.open(archive) as tar:
        config = json.loads(_member(tar, str(manifest_of(archive)["Config"])))
        assert isinstance(config, dict)
        return config


def layers_of(archive: Path) -> list[bytes]:
    """Return the layers of a docker-archive as they are stored, bottom first."""
    names = manifest_of(archive)["Layers"]
    assert isinstance(names, list)
    with tarfile.open(archive) as tar:
        return [_member(tar, name) for name in names]


def top_layer(archive: Path) -> dict[str, tarfile.TarInfo]:
    """Return the entries of the new layer by name, in its order; directories end with a slash."""
    with tarfile.open(fileobj=io.BytesIO(layers_of(archive)[-1])) as layer:
        members = layer.getmembers()
    named = {f"{member.name}/" if member.isdir() else member.name: member for member in members}
    assert len(named) == len(members), "a path stands twice in the layer"
    return named


def content_of(archive: Path, name: str) -> bytes:
    """Return the content of a file in the new layer."""
    with tarfile.open(fileobj=io.BytesIO(layers_of(archive)[-1])) as layer:
        return _member(layer, name)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file_object = tar.extractfile(name)
    assert file_object is not None, f"{name} is no file"
    return file_object.read()
