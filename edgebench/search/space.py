"""What is searched: a scheme, and a value for each of its settings that has choices.

Optuna knows each value by its JSON text, since a study in a database holds plain values alone. A setting's
parameter has the scheme's name before its own, so that two schemes never share one.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebench.errors import UsageError
from edgebench.models.quantization import SCHEMES, missing_packages, require_packages, scheme_named

if TYPE_CHECKING:
    import optuna

SCHEME = "scheme"
# Settings that say what stays float, by name and by structure.
FLOAT_NODES, FLOAT_PARTS = "float_nodes", "float_parts"


@dataclass(frozen=True)
class Settings:
    """A scheme's name, and the settings that differ from the scheme's own."""

    scheme: str
    overrides: Mapping[str, Any]

    def text(self) -> str:
        """One line: ``ort_static per_channel=true, ...``."""
        return " ".join(
            [self.scheme, ", ".join(f"{key}={json.dumps(value)}" for key, value in self.overrides.items())]
        ).strip()


@dataclass(frozen=True)
class Space:
    """Schemes by name, each with the choices of its settings."""

    schemes: Mapping[str, Mapping[str, Sequence[Any]]]

    @classmethod
    def of(cls, names: Sequence[str] = (), *, model_format: str = "onnx") -> Space:
        """The schemes of these names; without any, all that write ``model_format``, whose packages are
        installed, that choose nothing by the names of one kind of net, and that do not train with torch,
        which takes minutes a file.

        Raises UsageError for an unknown name and for a named scheme whose packages are missing.
        """
        named = [scheme_named(name) for name in names]
        for scheme in named:
            require_packages(scheme)
        chosen = named or [
            scheme
            for scheme in SCHEMES.values()
            if scheme.format == model_format
            and not scheme.of_own_nets
            and "torch" not in scheme.needs
            and not missing_packages(scheme)
        ]
        return cls({scheme.name: dict(scheme.choices) for scheme in chosen})

    def with_float_nodes(self, lists: Sequence[Sequence[str]]) -> Space:
        """The space in which each of ``lists`` may stay float, beside a scheme's own choice by structure.

        It changes the schemes that leave nodes float by name and by structure and name none of their own.
        """
        found = {}
        for name, choices in self.schemes.items():
            own = scheme_named(name).settings
            if own.get(FLOAT_NODES) == () and own.get(FLOAT_PARTS) and scheme_named(name).calibrated:
                more = {FLOAT_PARTS: (own[FLOAT_PARTS], ()), FLOAT_NODES: ((), *map(tuple, lists))}
                found[name] = {**choices, **more}
            else:
                found[name] = dict(choices)
        return Space(found)

    def suggest(self, trial: optuna.trial.Trial) -> Settings:
        """The settings of one trial."""
        name = trial.suggest_categorical(SCHEME, list(self.schemes))
        for key, choices in self.schemes[name].items():
            trial.suggest_categorical(f"{name}.{key}", _texts(choices))
        return self.settings(trial.params)

    def starts(self) -> list[dict[str, str]]:
        """Parameters of the trials that are made first: each scheme with its own settings, then those that
        take lists of float nodes with the list in the middle."""
        own = [{SCHEME: name} | self._own(name) for name in self.schemes]
        measured = []
        for name, choices in self.schemes.items():
            lists = [nodes for nodes in choices.get(FLOAT_NODES, ()) if nodes]
            if lists:
                middle = {
                    f"{name}.{FLOAT_PARTS}": json.dumps(()),
                    f"{name}.{FLOAT_NODES}": json.dumps(lists[len(lists) // 2]),
                }
                measured.append({SCHEME: name} | self._own(name) | middle)
        return own + measured

    @property
    def size(self) -> int:
        """How many settings there are in all."""
        return sum(math.prod(len(values) for values in choices.values()) for choices in self.schemes.values())

    def neighbour(self, params: Mapping[str, str], tried: Collection[str]) -> dict[str, str] | None:
        """``params`` with one value changed at random, so that the settings are none of ``tried``.

        Where all of these were tried, any settings that were not; None where there are none.
        """
        near = [
            {**params, key: other}
            for key in params
            if key != SCHEME
            for other in _texts(self.schemes[params[SCHEME]][key.partition(".")[2]])
        ]
        for candidates in (near, self._all()):
            new = [each for each in candidates if self.settings(each).text() not in tried]
            if new:
                return random.choice(new)  # noqa: S311
        return None

    def settings(self, params: Mapping[str, str]) -> Settings:
        """The settings that a trial's parameters stand for."""
        name = params[SCHEME]
        values = {key: json.loads(params[f"{name}.{key}"]) for key in self.schemes[name]}
        own = _texts_by_key(name, values)
        return Settings(name, {key: value for key, value in values.items() if json.dumps(value) != own[key]})

    def _all(self) -> list[dict[str, str]]:
        """The parameters of every trial there can be."""
        return [
            {SCHEME: name} | {f"{name}.{key}": text for key, text in zip(choices, texts, strict=True)}
            for name, choices in self.schemes.items()
            for texts in itertools.product(*(_texts(values) for values in choices.values()))
        ]

    def _own(self, name: str) -> dict[str, str]:
        """The scheme's own value of each setting; the first choice where its own is none of them."""
        found, own = {}, _texts_by_key(name, self.schemes[name])
        for key, values in self.schemes[name].items():
            texts = _texts(values)
            found[f"{name}.{key}"] = own[key] if own[key] in texts else texts[0]
        return found

    def described(self) -> str:
        """What decides whether a study belongs to this space, as JSON."""
        return json.dumps({name: {k: list(v) for k, v in c.items()} for name, c in self.schemes.items()})


def _texts_by_key(scheme: str, keys: Iterable[str]) -> dict[str, str]:
    """The scheme's own value of each setting, as text."""
    return {key: json.dumps(scheme_named(scheme).settings.get(key)) for key in keys}


def _texts(values: Sequence[Any]) -> list[str]:
    return [json.dumps(value) for value in values]


def require_optuna() -> None:
    """Raise UsageError where the extra ``search`` is not installed."""
    import importlib.util  # noqa: PLC0415

    if importlib.util.find_spec("optuna") is None:
        raise UsageError(
            "a search needs optuna, which this environment does not have. Install the extra: pip install "
            "'edgebench[search]'."
        )
