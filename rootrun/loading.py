"""How the modules of this package are loaded: as Python does it, with less ado.

Python looks for each module under half a dozen names, and takes thirty functions of its own to
read it: a seventh of a start, for a hundred modules. Here a module of the package is a file ``.py``
with a compiled one in ``__pycache__``. What is not as simple, above all what is not
compiled yet or has changed since, is left to Python.
"""

import marshal
import os
import sys
from collections.abc import Sequence
from io import open_code
from types import CodeType, ModuleType

from rootrun.annotation import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
else:
    ModuleSpec = type(__spec__)  # that module would be one more to load

_HEADER_BYTES = 16  # the magic number, flags, and of the source its mtime and size (PEP 552)
_PACKAGE = "rootrun."
_QUOTING = "urllib.parse"


class _Finder:
    """Finds and loads compiled modules of the package (importlib.abc.MetaPathFinder, Loader)."""

    def __init__(self, magic: bytes, suffix: str) -> None:
        self._start = magic + bytes(4)  # flags of 0: the source's mtime and size tell
        self._suffix = suffix

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load the module ``name``, its code with it; None for Python's way."""
        if not path or not name.startswith(_PACKAGE):
            return None
        directory, tail = path[0], name.rpartition(".")[2]
        code = self._code(directory, tail)
        if code is not None:
            return self._spec(name, directory, tail, code)
        directory = f"{directory}/{tail}"
        code = self._code(directory, "__init__")
        if code is None:
            return None
        spec = self._spec(name, directory, "__init__", code)
        spec.submodule_search_locations = [directory]
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """Have Python make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of ``module``."""
        assert module.__spec__ is not None
        exec(module.__spec__.loader_state, module.__dict__)

    def _spec(self, name: str, directory: str, file_name: str, code: CodeType) -> ModuleSpec:
        spec = ModuleSpec(
            name,
            self,  # type: ignore[arg-type] # has what Python asks of a Loader
            origin=f"{directory}/{file_name}.py",
            loader_state=code,
        )
        spec.cached = f"{directory}/__pycache__/{file_name}{self._suffix}"
        spec.has_location = True
        return spec

    def _code(self, directory: str, file_name: str) -> CodeType | None:
        """Return the code of a module, None unless it is compiled from the source as it is."""
        try:
            source = os.stat(f"{directory}/{file_name}.py")
            with open_code(f"{directory}/__pycache__/{file_name}{self._suffix}") as file:
                content = file.read()
        except OSError:
            return None
        low = 0xFFFFFFFF
        made_of = int(source.st_mtime) & low | (source.st_size & low) << 32
        if content[:_HEADER_BYTES] != self._start + made_of.to_bytes(8, "little"):
            return None
        code: CodeType = marshal.loads(memoryview(content)[_HEADER_BYTES:])
        return code


def load_with_less_ado() -> None:
    """Load what is still to come of the package in this way, if it is compiled."""
    spec = __spec__
    directory, _, own_name = (spec.cached or "").rpartition("/") if spec else ("", "", "")
    if not directory.endswith("/__pycache__") or sys.pycache_prefix:
        return
    try:
        with open_code(f"{directory}/{own_name}") as file:
            magic = file.read(4)  # of this interpreter: it has just read that file
    except OSError:
        return
    sys.meta_path.insert(0, _Finder(magic, own_name.removeprefix("loading")))


def load_pathlib() -> None:
    """Load ``pathlib`` without ``urllib``, a twentieth of a start: only ``as_uri`` needs it.

    From Python 3.13 on it is not loaded with it anyway.
    """
    if sys.version_info >= (3, 13) or _QUOTING in sys.modules:
        return
    sys.modules[_QUOTING] = stand_in = ModuleType(_QUOTING)
    stand_in.quote_from_bytes = _quote_from_bytes  # type: ignore[attr-defined] # a module is open
    try:
        import pathlib  # noqa: F401
    finally:
        del sys.modules[_QUOTING]


def _quote_from_bytes(content: bytes) -> str:
    from urllib.parse import quote_from_bytes

    return quote_from_bytes(content)
