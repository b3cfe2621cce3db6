"""Values of the options that edit an image's configuration (image-spec 1.1, config.md)."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rootrun.cli.values import MAX_ID, parse_absolute, parse_path, parse_text
from rootrun.errors import ImageError
from rootrun.image.document import parse_object, refuse_twins

MAX_FILE_BYTES = 1024 * 1024

_LISTS = ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell")
_TEXTS = ("User", "WorkingDir", "StopSignal")
_OBJECTS = ("ExposedPorts", "Volumes", "Labels", "Healthcheck")


def parse_variable(text: str) -> tuple[str, str]:
    """Return the variable that ``K=V`` says; a bare ``K`` takes its value from the caller."""
    name, equals, value = parse_text(text).partition("=")
    if not name or re.search(r"\s", name):
        raise ValueError("not KEY=VALUE")
    if equals:
        return name, value
    if name not in os.environ:
        raise ValueError("not KEY=VALUE, and the caller has no such variable")
    return name, parse_text(os.environ[name])


def parse_label(text: str) -> tuple[str, str]:
    """Return the label that ``K=V`` says; a bare ``K`` is an empty one."""
    name, _, value = parse_text(text).partition("=")
    if not name:
        raise ValueError("not KEY=VALUE")
    return name, value


def parse_port(text: str) -> str:
    """Return a port as ``80``, ``80/tcp``, ``80/udp`` or ``80/sctp``."""
    match = re.fullmatch(r"(\d{1,5})(/(tcp|udp|sctp))?", text, re.ASCII)
    if not match or not 1 <= int(match[1]) <= 65535:
        raise ValueError("not PORT or PORT/tcp, PORT/udp, PORT/sctp")
    return text


def parse_volume(text: str) -> str:
    """Return the path of a volume; ``SRC:DST`` is what --bind takes."""
    if ":" in text:
        raise ValueError("not a path in the image; to mount SRC:DST for the script use --bind")
    return parse_absolute(text)


def parse_user(text: str) -> str:
    """Return ``USER[:GROUP]``, names or numbers."""
    if not re.fullmatch(r"[^:\s]+(:[^:\s]+)?", parse_text(text)):
        raise ValueError("not USER or USER:GROUP")
    for part in text.split(":"):
        if re.fullmatch(r"\d+", part, re.ASCII) and int(part) > MAX_ID:
            raise ValueError(f"{part} is no id, the last one is {MAX_ID}")
    return text


def parse_command(text: str) -> tuple[str, ...]:
    """Return the words of a JSON array, or ``/bin/sh -c`` of anything else.

    This is how a Dockerfile reads CMD: ``[ -f x ] && y`` is a shell's, as it is no JSON.
    """
    if not parse_text(text).strip():
        raise ValueError("empty; --config with null for Cmd or Entrypoint removes it")
    try:
        words: object = json.loads(text)
    except (ValueError, RecursionError):
        words = None
    if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
        return tuple(words)
    if isinstance(words, list) or re.match(r'\s*\[\s*"', text):
        raise ValueError("not a JSON array of strings")
    return ("/bin/sh", "-c", text)


def parse_config(text: str) -> Mapping[str, object]:
    """Return the object of a ``config`` that the JSON text, or the file of that name, holds."""
    source = text if text.lstrip().startswith("{") else read_small_file(parse_path(text))
    try:
        # As strict as for an image: what is written there must be read again by everybody.
        config = parse_object(source.encode("utf-8", "surrogateescape"), where="config")
        refuse_twins(config, where="config")
    except ImageError as error:
        raise ValueError(str(error).removeprefix("read image: config: ")) from None
    for key, value in config.items():
        _check_config_value(key, value)
    return config


def parse_env_file(text: str) -> tuple[tuple[str, str], ...]:
    """Return the variables of a file: a ``K=V`` or ``K`` a line, ``#`` begins a comment line."""
    return tuple(_env_lines(text))


def _env_lines(path: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_small_file(parse_path(path)).splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield parse_variable(line.lstrip())
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None


def read_small_file(path: Path) -> str:
    """Return the text of a file that an option names; a ValueError says why there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(error.strerror) from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"longer than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


def _check_config_value(key: str, value: object) -> None:
    # A misspelt or mistyped value would only show when a container is started from the image.
    if value is None:
        return
    if key in _LISTS and not _is_list_of_texts(value):
        raise ValueError(f"{key}: not an array of strings")
    if key in _TEXTS and not isinstance(value, str):
        raise ValueError(f"{key}: not a string")
    if key in _OBJECTS and not isinstance(value, dict):
        raise ValueError(f"{key}: not an object")
    if key == "Labels" and not _is_list_of_texts(
        list(value.values()) if isinstance(value, dict) else value
    ):
        raise ValueError(f"{key}: not an object of strings")
    if key == "Env" and isinstance(value, list) and not all("=" in item[1:] for item in value):
        raise ValueError(f"{key}: not an array of KEY=VALUE")


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
