"""Training: recipes, data, losses, the loop, and the artifacts that a finished run leaves.

Importing this package costs no torch; calling :func:`train` does, and says how to get it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import UsageError
from edgebench.training.methods import load_recipe
from edgebench.training.recipes.reading import recipe_names
from edgebench.training.recipes.sections import Recipe

if TYPE_CHECKING:
    from edgebench.corpora import Where
    from edgebench.training.loop.loop import Progress

__all__ = ["Recipe", "load_recipe", "recipe_names", "require_extra", "train"]


def train(
    recipe_name: str,
    *,
    corpora: Mapping[str, Where],
    output: Path,
    overrides: Sequence[str] = (),
    resume: bool = False,
    notify: Callable[[Progress], None] | None = None,
    train_only: Mapping[str, Where] | None = None,
) -> Path:
    """Train a recipe; see :func:`edgebench.training.run.train`.

    Raises :class:`UsageError` where something of the extra is not installed.
    """
    require_extra()
    from edgebench.training import run  # noqa: PLC0415

    return run.train(
        recipe_name,
        corpora=corpora,
        output=output,
        overrides=overrides,
        resume=resume,
        notify=notify,
        train_only=train_only,
    )


def require_extra() -> None:
    """Raise :class:`UsageError` where something of the train extra is not installed."""
    needed = (
        "torch",
        "accelerate",
        "onnxscript",
        "tensorboard",
        "transformers",
        "audiomentations",
        "sklearn",
    )
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"training needs {' and '.join(missing)}, which this environment does not have. Install "
            "the extra: pip install 'edgebench[train]'."
        )
