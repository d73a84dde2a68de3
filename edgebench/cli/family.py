"""The files of a model's quantization schemes, made before they are measured: ``run --schemes``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgebench.errors import ModelError, UsageError

if TYPE_CHECKING:
    from edgebench.corpora import Source
    from edgebench.models import Artifact
    from edgebench.training.artifacts.quantize import Speech

ALL = "all"


def family(
    models: Sequence[str],
    schemes: str,
    sources: Mapping[str, Source],
    *,
    cache: Path,
    stage: Callable[[str], None],
    warn: Callable[[str], None],
) -> list[str]:
    """The models and, after each, its files by the schemes, ``A,B,...`` or ``all``.

    Ranges are set on the training speakers of those ``sources`` that a model was trained on, else on
    generated speech. ``models``: fp32; without any, the packaged ones. A scheme that makes no file is told
    through ``warn``. Raises UsageError for an unknown scheme, ModelError where no file could be made.
    """
    from edgebench.models import load_artifact
    from edgebench.training.artifacts.quantize_all import quantize_by_all

    names = _names(schemes)
    found: list[str] = []
    for model in models or _packaged_parents():
        parent = load_artifact(model)
        attempts = quantize_by_all(
            model,
            calibration=_speech(parent, sources),
            output=cache / "schemes" / parent.sha256[:16],
            schemes=names,
            progress=lambda name: stage(f"quantizing by {name}"),
        )
        made = [attempt.path for attempt in attempts if attempt.path is not None]
        for attempt in attempts:
            if attempt.path is None:
                warn(f"{parent.key} is not measured by {attempt.scheme}: {attempt.reason}")
        if not made:
            raise ModelError(f"no scheme made a file of {parent.key}; the warnings above say why.")
        found += [model, *made]
    return found


def _names(text: str) -> list[str]:
    """What --schemes named. Raises UsageError."""
    from edgebench.models.quantization import SCHEMES, scheme_named

    names = list(SCHEMES) if text == ALL else [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--schemes names no scheme: A,B,... or all; `edgebench quantize --list` shows them.")
    return [scheme_named(name).name for name in names]


def _packaged_parents() -> list[str]:
    from edgebench.models import load_artifact, packaged_artifacts

    artifacts = [load_artifact(key) for key in packaged_artifacts()]
    return [one.key for one in artifacts if one.manifest is not None and one.manifest.parent is None]


def _speech(parent: Artifact, sources: Mapping[str, Source]) -> Speech:
    training = parent.manifest.training if parent.manifest else None
    own = {name: where for name, where in sources.items() if training and name in training.corpora}
    return own or {"synthetic": None}
