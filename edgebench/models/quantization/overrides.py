"""Settings of a scheme changed by text, as ``edgebench quantize --set KEY=VALUE`` gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from edgebench.errors import UsageError, nearest
from edgebench.models.quantization.scheme import Scheme

_BOOLEANS = {"true": True, "false": False}


def parse_overrides(texts: Sequence[str]) -> dict[str, str]:
    """``["activations=int8"]`` as ``{"activations": "int8"}``. Raises UsageError for another form."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {text!r}: expected KEY=VALUE, such as activations=int8.")
        if key.strip() in found:
            raise UsageError(f"--set {key.strip()}: given twice.")
        found[key.strip()] = value.strip()
    return found


def overridden(scheme: Scheme, changes: Mapping[str, str]) -> Scheme:
    """The scheme with some settings changed; a value is read as the type of the one that it replaces.

    Several values of one setting are divided by commas. Raises UsageError for a key that the scheme does not
    have, with the nearest ones, and for a value of another type or outside of what the scheme knows.
    """
    if not changes:
        return scheme
    values = dict(scheme.settings)
    for key, text in changes.items():
        if key not in values:
            raise UsageError(f"scheme {scheme.name!r} has no setting {key!r}: {nearest(key, values)}.")
        values[key] = _read(scheme, key, text)
    return replace(scheme, settings=MappingProxyType(values))


def _read(scheme: Scheme, key: str, text: str) -> Any:
    before = scheme.settings[key]
    if isinstance(before, tuple):
        if any(isinstance(item, tuple) for item in before):
            raise UsageError(f"scheme {scheme.name!r}: {key} holds pairs, which --set cannot change.")
        kind = type(before[0]) if before else str
        items = [item.strip() for item in text.split(",") if item.strip()]
        return tuple(_single(scheme, key, item, kind) for item in items)
    return _single(scheme, key, text, type(before))


def _single(scheme: Scheme, key: str, text: str, kind: type) -> Any:
    try:
        value = _BOOLEANS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        word = {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, kind.__name__)
        raise UsageError(f"scheme {scheme.name!r}: {key} is {word}, not {text!r}.") from None
    allowed = scheme.choices.get(key)
    if allowed is not None and value not in allowed:
        raise UsageError(
            f"scheme {scheme.name!r}: {key} cannot be {text!r}: {nearest(text, map(str, allowed))}."
        )
    return value
