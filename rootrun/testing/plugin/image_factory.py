"""The images of a session of tests, each made once, by however many processes want it."""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rootrun.annotation import Self
from rootrun.errors import EXIT_ROOTRUN_FAILED, MachineError
from rootrun.image.digest import digest_of, hex_of
from rootrun.image.reference import parse_image_reference
from rootrun.layer.removal import remove_tree
from rootrun.sandbox.companion import run_rootrun
from rootrun.testing.options import NO_IMAGE
from rootrun.testing.plugin.settings import Settings

_IMAGE, _SCRIPT = "image.tar", "script"
_SHOWN_LINES = 100


class ImageFactory:
    """What the fixture ``rootrun_image`` is. A context manager.

    The images are below ``directory``, which the processes of one session share: the last one of
    them removes what is there, unless it is to be kept.
    """

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._failures: dict[str, str] = {}
        self._used: int | None = None  # descriptor of the directory, locked by each user

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        used, self._used = self._used, None
        if used is None:
            return
        try:
            fcntl.flock(used, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # others still need them
        else:
            if not self._settings.keeps:
                for name in os.listdir(used):
                    remove_tree(name, directory_fd=used)
        finally:
            os.close(used)

    def __call__(
        self,
        base: str | os.PathLike[str],
        *scripts: str | os.PathLike[str],
        options: Sequence[str | os.PathLike[str]] = (),
    ) -> Path:
        """Run ``scripts`` in ``base``, a layer each, and return the path of the image.

        A ``str`` is the text of a script, a ``Path`` is a file. ``options`` are those of
        rootrun(1); without them owners are kept. With the same inputs it is made once in a
        session, and its layers are those of earlier sessions (--step-cache). Raises MachineError
        with what rootrun wrote if it fails.
        """
        texts = [_text_of(script) for script in scripts]
        given = [os.fspath(option) for option in options]
        words = ["--owner", "keep", *self._settings.words(), *given]  # the last one counts
        name = os.fspath(base)
        key = hex_of(digest_of(json.dumps([name, _state_of(name), texts, words]).encode()))[:16]
        self._use()
        image = self._directory / key / _IMAGE
        image.parent.mkdir(exist_ok=True)
        with _locked(image.parent):
            if not image.exists():
                self._make(image, name, texts=texts, words=words)
        return image

    def _use(self) -> None:
        if self._used is None:
            self._directory.mkdir(exist_ok=True)
            self._used = _open_directory(self._directory)
            fcntl.flock(self._used, fcntl.LOCK_SH)

    def _make(self, image: Path, base: str, *, texts: Sequence[str], words: Sequence[str]) -> None:
        key = image.parent.name
        if key in self._failures:
            raise MachineError(self._failures[key])
        args = ["--from", base, "--step-cache", "-o", f"docker-archive:{image}"]
        for number, text in enumerate(texts, start=1):
            script = image.with_name(f"{_SCRIPT}-{number}")
            script.write_text(text, encoding="utf-8")
            args += ["--script", os.fspath(script)]
        ended = run_rootrun([*args, *words])
        if ended.status == EXIT_ROOTRUN_FAILED:
            self._settings.require_machines()  # else the test is skipped with the reason
        if ended.status != 0:
            shown = "\n".join(ended.stderr.splitlines()[-_SHOWN_LINES:])
            self._failures[key] = f"make an image: status {ended.status}\n{shown}"
            raise MachineError(self._failures[key])


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    fd = _open_directory(directory)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _open_directory(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _text_of(script: str | os.PathLike[str]) -> str:
    return script if isinstance(script, str) else Path(script).read_text(encoding="utf-8")


def _state_of(base: str) -> Sequence[int]:
    """Return what changes with the file of an image; nothing for what is no file."""
    path = None if base == NO_IMAGE else parse_image_reference(base).path
    if path is None or not path.exists():
        return ()
    status = (path / "index.json" if path.is_dir() else path).stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
