"""Edits of an image's configuration, as values (image-spec 1.1, config.md)."""

from collections.abc import Mapping

from rootrun.dataclass import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEdits:
    """What to change in the ``config`` object of an image.

    With ``env_alone`` the base's object is but its ``Env``. ``merge`` is laid over it first, key by
    key; ``Env`` in it is merged like ``env``. None and the empty tuple leave the base's value
    alone.
    """

    env_alone: bool = False
    merge: Mapping[str, object] = field(default_factory=dict)
    env: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    working_directory: str | None = None
    user: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    exposed_ports: tuple[str, ...] = ()  # "80", "80/tcp"
    volumes: tuple[str, ...] = ()
