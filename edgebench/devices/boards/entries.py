"""Writing an entry into the inventory file: everything else in it stays as its owner wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgebench.devices.boards.inventory import DeviceEntry, Inventory, read_inventory
from edgebench.errors import ConfigError, UsageError
from edgebench.files import write_text
from edgebench.text import read_toml


def entry_text(name: str, entry: DeviceEntry) -> str:
    """The entry as TOML."""
    lines = [f"{key} = {_toml(value)}" for key, value in entry.model_dump(exclude_none=True).items()]
    return "\n".join([f"[devices.{name}]", *lines]) + "\n"


def require_free(path: Path, name: str, devices: Mapping[str, DeviceEntry]) -> None:
    """Raise UsageError where ``devices``, those of the inventory at ``path``, have one of that name."""
    if name in devices:
        raise UsageError(
            f"the inventory {path} has a device {name!r} already, at {devices[name].host}. Give the new one "
            "another name, or say --replace."
        )


def write_entry(path: Path, name: str, entry: DeviceEntry, *, replace: bool) -> None:
    """Add the entry ``name`` to the inventory at ``path``, which need not exist yet.

    ``replace``: an entry of that name is there, and this one takes its place. Raises UsageError where
    that was not said, ConfigError where the file cannot be read, changed or written; it is then as it was.
    """
    path = path.resolve()  # a link stays one
    text, devices = "", {}
    if path.exists():
        devices = dict(read_inventory(path).devices)
        text = path.read_text(encoding="utf-8")
    if not replace:
        require_free(path, name, devices)
    fresh = entry_text(name, entry)
    # A section ends before the next one; those below it belong to it.
    key = rf'devices\.(?:{re.escape(name)}|"{re.escape(name)}")'
    section = re.compile(rf"^\[{key}\].*?(?=^\[(?!{key}[.\]])|\Z)", re.MULTILINE | re.DOTALL)
    if name in devices:
        text = section.sub(lambda _: fresh + "\n", text, count=1)
    else:
        text = f"{text.rstrip()}\n\n{fresh}".lstrip()
    if _devices(text) != {**devices, name: entry}:
        raise ConfigError(
            f"the inventory {path} is written in a way that edgebench cannot change. Put this into it by "
            f"hand:\n{fresh}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise ConfigError(f"the inventory {path} cannot be written: {error.strerror or error}.") from None


def _devices(text: str) -> dict[str, DeviceEntry] | None:
    try:
        return Inventory.model_validate(read_toml(text)).devices
    except (ValueError, ValidationError):
        return None


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    # JSON's texts, numbers and truth values are TOML's too.
    return json.dumps(value)
