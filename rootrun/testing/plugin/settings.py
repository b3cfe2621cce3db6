"""What the options of pytest say about machines, and whether there can be any."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rootrun.annotation import NoReturn
from rootrun.dataclass import replace
from rootrun.errors import EXIT_ROOTRUN_FAILED, RootrunError
from rootrun.sandbox.companion import run_rootrun
from rootrun.testing.connection import connection_to_hub, places_of
from rootrun.testing.options import MachineOptions
from rootrun.testing.plugin.kept import Kept

MUST_WORK_VARIABLE = "ROOTRUN_MUST_WORK"


class Settings:
    """The options of one pytest."""

    def __init__(self, *, id_map: str, cache_directory: Path | None, keeps: bool) -> None:
        self.id_map = id_map
        self.cache_directory = cache_directory
        self.keeps = keeps
        self.kept = Kept()
        self._is_possible: bool | None = None  # unknown as long as nothing failed
        self._refusal: str | None = None  # the reason to skip all that comes

    def machine_options(self, options: MachineOptions | None) -> MachineOptions:
        """Return ``options`` with what they leave to pytest's."""
        options = options or MachineOptions()
        if options.idmap == "auto":
            options = replace(options, idmap=self.id_map)
        if options.cache_dir is None:
            options = replace(options, cache_dir=self.cache_directory)
        return options

    def words(self) -> list[str]:
        """Return the options of a run of rootrun."""
        cache = self.cache_directory
        return ["--idmap", self.id_map, *(["--cache-dir", os.fspath(cache)] if cache else [])]

    def require_machines(self) -> None:
        """Skip the test where there can be none; fail it under ROOTRUN_MUST_WORK=1."""
        with self.skipping():
            connection_to_hub(places_of(cache=self.cache_directory, id_map=self.id_map))

    @contextmanager
    def skipping(self) -> Iterator[None]:
        """Skip with what the block raises if ``rootrun doctor`` says that nothing can work here."""
        if self._refusal is not None:
            _skip(self._refusal)
        try:
            yield
        except RootrunError as error:
            if self._is_possible is None:
                self._is_possible = run_rootrun(["doctor"]).status != EXIT_ROOTRUN_FAILED
            if self._is_possible:
                raise
            hint = f" ({error.hint})" if error.hint else ""
            self._refusal = f"rootrun cannot work here: {error}{hint}"
            _skip(self._refusal)


def _skip(reason: str) -> NoReturn:
    __tracebackhide__ = True
    if os.environ.get(MUST_WORK_VARIABLE) == "1":
        pytest.fail(f"{MUST_WORK_VARIABLE}=1, but {reason}", pytrace=False)
    pytest.skip(reason)


_KEY = pytest.StashKey[Settings]()


def settings_of(config: pytest.Config) -> Settings:
    """Return what the command line says, else the configuration."""
    if _KEY not in config.stash:
        named = config.getoption("rootrun_cache_dir")
        configured = str(config.getini("rootrun_cache_dir") or "")
        cache_directory = config.rootpath / configured if configured else None
        if named:
            cache_directory = Path(named).absolute()
        config.stash[_KEY] = Settings(
            id_map=config.getoption("rootrun_idmap") or str(config.getini("rootrun_idmap")),
            cache_directory=cache_directory,
            keeps=bool(config.getoption("rootrun_keep")),
        )
    return config.stash[_KEY]
