"""The images that a hub has opened: each is read and unpacked once, for all machines of it."""

import os
from contextlib import ExitStack
from pathlib import Path

from rootrun.compose.base_image import Base, opened_base, opened_image
from rootrun.errors import ImageError, told_as
from rootrun.image.config import ImageConfig
from rootrun.image.image import Image
from rootrun.layer.stack import UnpackedLayer
from rootrun.namedtuple import NamedTuple
from rootrun.plan import check_before_run, planned_config
from rootrun.progress import Silence
from rootrun.request import ImageChoice, Request
from rootrun.sandbox.idmap import IdMap
from rootrun.testing.plan import Places


class MachineGround(NamedTuple):
    """What a machine stands on."""

    request: Request
    image: Image
    base: Base
    config: ImageConfig
    id_map: IdMap
    forked: tuple[UnpackedLayer, ...] = ()  # on the image, each by a fork; in ``base`` too


class _Opened(NamedTuple):
    image: Image
    base: Base

    def is_there(self) -> bool:
        """Say whether nobody has removed the cache, or a part of it."""
        return all(layer.tree.exists() for layer in self.base.stack.layers)


class Images:
    """Opens images when they are first asked for; all are closed by ``cleanup``."""

    def __init__(self, places: Places, id_map: IdMap, *, scratch: Path, cleanup: ExitStack) -> None:
        self.places = places
        self._id_map = id_map
        self.scratch = scratch
        self._cleanup = cleanup
        self._count = 0
        self._opened: dict[tuple[ImageChoice, object], _Opened] = {}

    def ground(self, request: Request, id_map: IdMap) -> MachineGround:
        """Return what ``request`` asks for, its layers unpacked; raises RootrunError."""
        choice = request.image_choice
        with told_as(ImageError, "read image", "the base"):
            key = choice, _state_of(choice)
            if key not in self._opened or not self._opened[key].is_there():
                self._opened[key] = self._open(choice)
        image, base = self._opened[key]
        config = planned_config(request, image.config, image.config.diff_ids)
        check_before_run(request, image, config)
        return MachineGround(request, image, base, config, id_map)

    def _open(self, choice: ImageChoice) -> _Opened:
        self._count += 1
        scratch = self.scratch / f"image-{self._count}"
        scratch.mkdir(mode=0o700, parents=True)  # it may have been below the cache, and gone
        with ExitStack() as opening:
            image = opening.enter_context(opened_image(choice, scratch=scratch))
            base = opening.enter_context(
                opened_base(
                    image,
                    scratch=scratch,
                    places=self.places.scratch,
                    id_map=self._id_map,
                    progress=Silence(),
                )
            )
            base.unpack()
            base.verification.remember()
            self._cleanup.push(opening.pop_all().__exit__)
        return _Opened(image, base)


def _state_of(choice: ImageChoice) -> object:
    """Return what changes with the file of an image, None for what is no file."""
    path = choice.reference.path if choice.reference else None
    if path is None:
        return None
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
