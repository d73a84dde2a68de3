"""Every error a user can meet, and the exit code it ends the command with.

The tree, by what the reader has to do about it::

    EdgebenchError
    ├── UsageError           2   the command line asked for something that is not there
    ├── ConfigError          2   a suite, an inventory or a recipe does not say what it must
    ├── ModelError           3   a model file or its manifest cannot be used
    ├── CorpusError          4   a corpus folder or a clip cannot be used
    ├── DeviceError          5   the board cannot be reached or cannot be used
    │   ├── ConnectionFailed 5   transient: nothing answered, or the link went down
    │   ├── HostKeyError     5   the board's host key is unknown or has changed
    │   ├── AuthRefused      5   the board answered and refused the keys offered
    │   ├── BoardUnfit       5   no Python, too old a Python, no space, no wheel for it, another kind of board
    │   ├── DeviceBusy       5   somebody else is measuring on it
    │   └── RunGone          5   the board has no such run any more
    ├── MeasurementError     6   the run started and could not be completed
    ├── StoreError           7   the results on disk cannot be read or written
    └── Interrupted        130   somebody stopped it; the message says what was kept or goes on

A message is one paragraph: what was asked, what was found, what to do. Anything else that
escapes is a bug and keeps its traceback (exit code 1).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


class EdgebenchError(Exception):
    """An expected failure: its text is for the user, its ``exit_code`` for the shell."""

    exit_code = 1


class UsageError(EdgebenchError):
    """The command line asked for something that is not there."""

    exit_code = 2


class ConfigError(EdgebenchError):
    """A suite, an inventory or a recipe does not say what it must."""

    exit_code = 2


class ModelError(EdgebenchError):
    """A model file or its manifest cannot be used."""

    exit_code = 3


class CorpusError(EdgebenchError):
    """A corpus folder or a clip cannot be used."""

    exit_code = 4


class DeviceError(EdgebenchError):
    """The board cannot be reached or cannot be used."""

    exit_code = 5


class ConnectionFailed(DeviceError):
    """Nothing answered, or the link went down. Trying again may help."""


class HostKeyError(DeviceError):
    """The board's host key is unknown or has changed."""


class AuthRefused(DeviceError):
    """The board answered and refused every key offered."""


class BoardUnfit(DeviceError):
    """The board lacks what a run needs: Python, space, a wheel for its processor."""


class DeviceBusy(DeviceError):
    """Somebody else is measuring on the board."""


class RunGone(DeviceError):
    """The board has no such run any more: its folder was removed, or another board answers."""


class MeasurementError(EdgebenchError):
    """The run started and could not be completed."""

    exit_code = 6


class StoreError(EdgebenchError):
    """The results on disk cannot be read or written."""

    exit_code = 7


class Interrupted(EdgebenchError):
    """Somebody stopped it. The message says where a training's checkpoint is, or that a run goes on."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which of the known names were likely meant.

    Returns a sentence fragment such as ``did you mean 'rpi4'? Known: rpi3, rpi4, rpi5``.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(n) for n in close)}? " if close else ""
    return f"{hint}Known: {', '.join(names) if names else 'none'}"


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The findings of a settings file that pydantic refused, as one line of text.

    Names the path of each key that is wrong, what was found there and, for an unknown key,
    the nearest allowed ones.
    """
    findings = []
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            allowed = _keys_at(model, item["loc"][:-1])
            findings.append(f"unknown key {path!r}; {nearest(str(item['loc'][-1]), allowed)}")
        elif item["type"] == "missing":
            findings.append(f"{path!r} is missing")
        else:
            findings.append(f"{path!r}: {item['msg'][:1].lower()}{item['msg'][1:]}, found {item['input']!r}")
    return "; ".join(findings)


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Names of the keys allowed in the table at ``loc`` of a settings model."""
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None:
            continue  # the name of an entry in a table of tables, or an index
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((c for c in candidates if hasattr(c, "model_fields")), model)
    return list(model.model_fields)
