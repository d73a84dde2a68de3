"""Reading a recipe: a TOML file, found by name or path, with ``key=value`` overrides laid over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebench.errors import ConfigError, nearest
from edgebench.text import read_toml

FOLDER = Path(__file__).parent


def recipe_names() -> list[str]:
    """Names of the packaged recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_values(name_or_path: str) -> tuple[Path, dict[str, Any]]:
    """The file of a recipe and its values, not yet checked against a schema.

    Raises :class:`ConfigError` for an unknown recipe (nearest names) and text that is not TOML.
    """
    path = Path(name_or_path) if name_or_path.endswith(".toml") else FOLDER / f"{name_or_path}.toml"
    if not path.is_file():
        raise ConfigError(f"recipe {name_or_path!r} does not exist: {nearest(name_or_path, recipe_names())}.")
    try:
        values = read_toml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"recipe {path} is not TOML: {error}. Mend that line.") from None
    values.setdefault("name", path.stem)
    return path, values


def lay_over(values: dict[str, Any], override: str) -> None:
    """Set one value by its dotted key: ``optimiser.learning_rate=0.001``.

    Raises :class:`ConfigError` for an override that is not ``key=value`` or goes through a value.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"override {override!r} is not key=value; write e.g. optimiser.steps=4000.")
    try:
        value: Any = read_toml(f"value = {text.strip()}")["value"]
    except ValueError:
        value = text.strip()  # a bare word is a string
    *sections, last = key.strip().split(".")
    target = values
    for section in sections:
        inner = target.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"override {override!r}: {section!r} is a value, not a section of the recipe.")
        target = inner
    target[last] = value
