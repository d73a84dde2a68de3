"""The training methods by name, and reading a recipe by the schema of its method.

To add a method, write its folder and add a row to :data:`METHODS`. The table holds import paths, so that
reading it costs no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from edgebench.errors import ConfigError, explain, nearest
from edgebench.training.method import Method
from edgebench.training.recipes.reading import lay_over, read_values
from edgebench.training.recipes.sections import Recipe

METHODS: dict[str, str] = {
    "distillation": "edgebench.training.distillation:Distillation",
    "fine_tuning": "edgebench.training.fine_tuning:FineTuning",
    "supervised": "edgebench.training.supervised:Supervised",
}
DEFAULT = "supervised"  # of a recipe that names no method


def method_named(name: str) -> Method[Any]:
    """The method of a name in :data:`METHODS`."""
    module, _, attribute = METHODS[name].partition(":")
    method: Method[Any] = getattr(importlib.import_module(module), attribute)()
    return method


def method_of(recipe_name: str) -> Method[Any]:
    """The method of a recipe's file. Raises what :func:`load_recipe` raises of a name or a method."""
    path, values = read_values(recipe_name)
    name = str(values.get("method", DEFAULT))
    if name not in METHODS:
        raise ConfigError(f"recipe {path}: there is no method {name!r}: {nearest(name, METHODS)}.")
    return method_named(name)


def load_recipe(name_or_path: str, *, overrides: Sequence[str] = ()) -> Recipe:
    """Read a packaged recipe or a TOML file and lay ``key=value`` overrides over it.

    ``method`` in the file chooses the schema, which :data:`METHODS` knows. Raises :class:`ConfigError` for an
    unknown recipe or method (nearest names), text that is not TOML, an unknown key (allowed keys) and a value
    of the wrong type or out of range.
    """
    path, values = read_values(name_or_path)
    schema: type[Recipe] = method_of(name_or_path).schema
    for override in overrides:
        lay_over(values, override)
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"recipe {path}: {explain(error, schema)}.") from None
