"""Settings of a scheme changed: by values, or by text as ``edgebench quantize --set KEY=VALUE`` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from edgebench.errors import UsageError, nearest
from edgebench.models.quantization.scheme import Scheme

_BOOLEANS = {"true": True, "false": False}
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word", tuple: "a list"}


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


def read_overrides(scheme: Scheme, texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of texts by key, each read as the type of the setting that it replaces.

    Several values of one setting are divided by commas. Raises UsageError for a key that the scheme does not
    have, with the nearest ones, and for a value of another type.
    """
    return {key: _read(scheme, key, text) for key, text in texts.items()}


def overridden(scheme: Scheme, changes: Mapping[str, Any]) -> Scheme:
    """The scheme with some settings changed.

    Raises UsageError for a key that the scheme does not have, with the nearest ones, and for a value of
    another type or outside of what the scheme knows.
    """
    if not changes:
        return scheme
    changed = {}
    for key, given in changes.items():
        before = _before(scheme, key)
        value = tuple(given) if isinstance(given, list) else given
        if isinstance(before, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(before):
            raise UsageError(f"scheme {scheme.name!r}: {key} is {_WORDS[type(before)]}, not {value!r}.")
        allowed = scheme.allowed.get(key)
        for item in value if isinstance(value, tuple) else (value,):
            if allowed is not None and item not in allowed:
                known = nearest(str(item), map(str, allowed))
                raise UsageError(f"scheme {scheme.name!r}: {key} cannot be {item!r}: {known}.")
        changed[key] = value
    return replace(scheme, settings=MappingProxyType({**scheme.settings, **changed}))


def _before(scheme: Scheme, key: str) -> Any:
    if key not in scheme.settings:
        raise UsageError(f"scheme {scheme.name!r} has no setting {key!r}: {nearest(key, scheme.settings)}.")
    return scheme.settings[key]


def _read(scheme: Scheme, key: str, text: str) -> Any:
    before = _before(scheme, key)
    if not isinstance(before, tuple):
        return _single(scheme, key, text, type(before))
    kind = type(before[0]) if before else str
    if kind is tuple:
        raise UsageError(f"scheme {scheme.name!r}: {key} holds pairs, which text cannot change.")
    return tuple(_single(scheme, key, item.strip(), kind) for item in text.split(",") if item.strip())


def _single(scheme: Scheme, key: str, text: str, kind: type) -> Any:
    try:
        return _BOOLEANS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise UsageError(f"scheme {scheme.name!r}: {key} is {_WORDS[kind]}, not {text!r}.") from None
