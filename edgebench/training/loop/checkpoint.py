"""Checkpoints and curves: a write that fails leaves the last good file in place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgebench.errors import ConfigError, StoreError
from edgebench.files import replacing

CHECKPOINT_VERSION = 1  # 1: recipe, clips, model, average, optimiser, history, best
CHECKPOINT, CURVES = "checkpoint.pt", "curves.jsonl"

_MEMORY = 0.98  # of the running mean of the loss


@dataclass
class History:
    """Where a run stands. ``rows`` are the validations, one a row of the curves."""

    step: int = 0
    loss: float = 0.0
    best_score: float | None = None
    best_step: int | None = None
    since_best: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)

    def note(self, loss: float) -> None:
        """Count a step and its loss."""
        self.loss = loss if self.step == 0 else _MEMORY * self.loss + (1.0 - _MEMORY) * loss
        self.step += 1


@dataclass
class State:
    """Everything that a run needs to go on as if it had not been interrupted."""

    recipe: str
    clips: list[str]
    model: dict[str, Any]
    average: dict[str, Any]
    optimiser: dict[str, Any]
    history: History
    best: dict[str, Tensor] | None


def write_checkpoint(folder: Path, state: State) -> None:
    """Write ``checkpoint.pt``; raises :class:`StoreError` where the disk does not take it."""
    values = {**{k: v for k, v in vars(state).items() if k != "history"}, "history": asdict(state.history)}
    values["version"] = CHECKPOINT_VERSION
    replace_whole(folder / CHECKPOINT, lambda part: torch.save(values, part))


def read_checkpoint(folder: Path, *, recipe: str, clips: Sequence[str]) -> State | None:
    """The checkpoint in a folder, None where there is none.

    Raises :class:`StoreError` for a file that cannot be read, :class:`ConfigError` for one of another
    recipe (naming the values that differ) or of other clips.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises several classes of its own, by the kind of damage
        raise StoreError(
            f"checkpoint {path} cannot be read ({type(error).__name__}). Start again in another --output."
        ) from None
    if values.get("version") != CHECKPOINT_VERSION:
        raise StoreError(
            f"checkpoint {path} is of version {values.get('version')!r}; this edgebench reads "
            f"{CHECKPOINT_VERSION}. Start again in another --output."
        )
    before, now = json.loads(values["recipe"]), json.loads(recipe)
    if before != now:
        differ = ", ".join(changes(before, now))
        raise ConfigError(
            f"checkpoint {path} was written by another recipe: {differ}. "
            "Give the same recipe and overrides, or another --output."
        )
    if values["clips"] != list(clips):
        raise ConfigError(
            f"checkpoint {path} was trained on {len(values['clips'])} clips, and the {len(clips)} given now "
            "are not the same. Give the same corpora, or another --output."
        )
    values.pop("version")
    return State(**{**values, "history": History(**values["history"])})


def write_curves(folder: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write ``curves.jsonl``, one validation a line."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    replace_whole(folder / CURVES, lambda part: part.write_text(text, encoding="utf-8"))


def replace_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Have ``write`` write a file whole or not at all. Raises :class:`StoreError` where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f"{path.name}.part-*"):  # by a process that was killed while it wrote
            left.unlink(missing_ok=True)
        with replacing(path) as part:
            write(part)
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        kept = "the earlier one is still there" if path.exists() else "nothing was written"
        raise StoreError(
            f"{path} could not be written ({error}); {kept}. Make room, then use --resume."
        ) from None


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The dotted keys at which two nested records differ, with both values, a text each."""
    old, new = _flat(before), _flat(after)
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return [f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
