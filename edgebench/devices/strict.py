"""Strict configuration: an unknown key is an error with its path and the keys that exist."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError


def explain(what: str, model: type[BaseModel], error: ValidationError) -> str:
    """One paragraph for the first thing wrong with ``what``, and how many more there are."""
    first, *more = error.errors(include_url=False)
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_keys_at(model, first["loc"][:-1])))
        text = f"{what}: unknown key '{path}'. Allowed here: {allowed}."
    elif first["type"] == "missing":
        text = f"{what}: '{path}' is missing."
    else:
        text = f"{what}: '{path}' is {first['input']!r}: {first['msg']}."
    return f"{text} ({len(more)} more like this.)" if more else text


def _keys_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    fields: Any = model
    for part in path:
        if not (isinstance(fields, type) and issubclass(fields, BaseModel)):
            break
        field = fields.model_fields.get(str(part))
        if field is None:
            continue
        fields = next(
            (
                kind
                for kind in (field.annotation, *getattr(field.annotation, "__args__", ()))
                if isinstance(kind, type) and issubclass(kind, BaseModel)
            ),
            fields,
        )
    return [name for name in fields.model_fields if name != "name"]
