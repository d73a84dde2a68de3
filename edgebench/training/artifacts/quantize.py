"""Quantizing a finished model: which clips set its ranges and its tolerance, and what is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgebench.corpora import Clip, Where, load_waveform, read_corpus, synthetic_clips
from edgebench.errors import ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.artifact import Artifact
from edgebench.models.making.quantized import quantize_artifact
from edgebench.models.manifest import Calibration
from edgebench.models.quantization import scheme_named
from edgebench.training.clips.gather import SYNTHETIC, calibration_clips, ids_sha256

CLIPS_PER_CLASS = 8  # of each corpus and emotion, as the packaged recipes take
_VALIDATION_PER_CLASS = 8


def quantize_model(
    model: str,
    *,
    scheme: str,
    calibration: Mapping[str, Where | None],
    output: Path,
    clips_per_class: int = CLIPS_PER_CLASS,
) -> Artifact:
    """Quantize a packaged model or a file with a manifest, and write the new file and manifest.

    ``calibration``: name of a corpus -> where it lies, None for the synthetic one, which is generated. Ranges
    are set on clips of the speakers that the model was trained on, and the tolerance on its validation
    speakers: who tests the model stays unseen. Raises UsageError where a calibrated scheme gets no corpus or
    one that the model was not trained on, and as ``quantize_artifact`` does.
    """
    parent = load_artifact(model)
    chosen = scheme_named(scheme)
    if chosen.calibrated and not calibration:
        raise UsageError(
            f"scheme {scheme!r} sets its ranges from speech. Give the corpora that the model was trained on, "
            "--calibration NAME=PATH, or --calibration synthetic, which is generated."
        )
    train, validation = _clips(parent, calibration or {SYNTHETIC: None})
    picked = (
        calibration_clips(train, per_class=clips_per_class, seed=_seed(parent)) if chosen.calibrated else []
    )
    checked = calibration_clips(validation, per_class=_VALIDATION_PER_CLASS, seed=_seed(parent))
    output.mkdir(parents=True, exist_ok=True)
    return quantize_artifact(
        parent,
        scheme,
        clips=[load_waveform(clip) for clip in picked],
        calibration=Calibration(sha256=ids_sha256(picked), clips=len(picked)) if picked else None,
        validation=[load_waveform(clip) for clip in checked],
        folder=output,
    )


def _clips(parent: Artifact, corpora: Mapping[str, Where | None]) -> tuple[list[Clip], list[Clip]]:
    """The labelled clips of the training and of the validation speakers."""
    training = parent.manifest.training if parent.manifest else None
    if training is None:
        raise ModelError(
            f"model {parent.path} has no manifest that says whose speech it was trained on, so nobody can "
            "choose clips for it. Give a file with its manifest, as `edgebench train` leaves one."
        )
    train: list[Clip] = []
    validation: list[Clip] = []
    for name, where in corpora.items():
        if name not in training.corpora:
            raise UsageError(
                f"corpus {name!r}: {parent.key} was not trained on it, and calibrating on it would make its "
                f"speakers seen. Trained on: {', '.join(sorted(training.corpora))}."
            )
        speakers = training.corpora[name]
        for clip in synthetic_clips() if where is None else read_corpus(name, where):
            if clip.emotion is not None and clip.speaker in speakers.train:
                train.append(clip)
            elif clip.emotion is not None and clip.speaker in speakers.validation:
                validation.append(clip)
    if not train or not validation:
        raise UsageError(
            f"no clip of the speakers that {parent.key} was trained and validated on was found in "
            f"{', '.join(corpora)}. Check the paths."
        )
    return train, validation


def _seed(parent: Artifact) -> int:
    training = parent.manifest.training if parent.manifest else None
    return training.seed if training else 0
