"""Quantizing a finished model: which clips set its ranges and its tolerance, and what is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.corpora import (
    Clip,
    Source,
    Where,
    load_waveform,
    read_corpus,
    recognise_corpus,
    synthetic_clips,
    synthetic_corpus,
)
from edgebench.errors import CorpusError, ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.models.artifact import Artifact
from edgebench.models.making.quantized import Waveform, quantize_artifact
from edgebench.models.manifest import Calibration, Training
from edgebench.models.quantization import scheme_named
from edgebench.training.clips.folder import folder_clips
from edgebench.training.clips.gather import calibration_clips, ids_sha256

CLIPS_PER_CLASS = 8  # of each corpus and emotion, as the packaged recipes take
_VALIDATION_PER_CLASS = 8
_ANY_CORPUS = ("table", "audformat")  # readers of layouts, which say nothing of whose speech it is


@dataclass(frozen=True)
class Folder:
    """A folder of audio files. With ``resample_into`` those at another rate are converted into that cache."""

    path: Path
    resample_into: Path | None = None


Speech = Mapping[str, Where | None] | Folder
"""What may calibrate: name of a corpus -> where it lies, None for the synthetic one, which is generated; or
a folder of audio files."""


@dataclass(frozen=True)
class Chosen:
    """Clips that set ranges, what a manifest says of them, and clips that judge the file made with them.

    ``calibration`` is None where no speech was given.
    """

    clips: list[Clip]
    calibration: Calibration | None
    judged: list[Clip]
    sample_rate_hz: int

    def calibration_waveforms(self) -> list[Waveform]:
        """The samples of the clips that set ranges, unprepared."""
        return [load_waveform(clip, self.sample_rate_hz) for clip in self.clips]

    def validation_waveforms(self) -> list[Waveform]:
        """The samples of the clips that judge, unprepared."""
        return [load_waveform(clip, self.sample_rate_hz) for clip in self.judged]


def quantize_model(
    model: str,
    *,
    scheme: str,
    calibration: Speech,
    output: Path,
    clips_per_class: int = CLIPS_PER_CLASS,
    overrides: Mapping[str, Any] | None = None,
) -> Artifact:
    """Quantize a packaged model or an fp32 ONNX file, and write the new file and manifest.

    Ranges are set on clips of the speakers that the model was trained on, and the tolerance on its
    validation speakers: who tests the model stays unseen. Clips of a folder are taken as they are, and some
    of them are held back for the tolerance. ``overrides`` replace some of the scheme's settings.

    Raises UsageError where a calibrated scheme gets no speech or a corpus that the model was not trained on,
    CorpusError where a corpus holds its test speakers alone, and as ``quantize_artifact`` and
    ``folder_clips`` do.
    """
    parent = load_artifact(model)
    known = scheme_named(scheme)
    needed = known.calibrated
    if needed and not calibration:
        raise UsageError(
            f"scheme {scheme!r} sets its ranges from speech. Give the corpora that the model was trained on, "
            "--calibration NAME=PATH, a folder of audio files, --calibration DIR, or --calibration "
            "synthetic, which is generated."
        )
    chosen = choose_clips(parent, calibration, clips_per_class=clips_per_class, at_least=known.clips)
    return quantize_artifact(
        parent,
        scheme,
        clips=chosen.calibration_waveforms() if needed else [],
        calibration=chosen.calibration if needed else None,
        validation=chosen.validation_waveforms(),
        folder=output,
        overrides=overrides,
    )


def choose_clips(
    parent: Artifact, calibration: Speech, *, clips_per_class: int = CLIPS_PER_CLASS, at_least: int = 0
) -> Chosen:
    """The clips that quantize ``parent``. Without any speech given, generated clips judge the file.

    Of each corpus and emotion ``clips_per_class`` are taken, or more where that makes fewer than ``at_least``
    in all. Raises as :func:`quantize_model`.
    """
    training = parent.manifest.training if parent.manifest else None
    rate_hz = parent.sample_rate_hz
    if isinstance(calibration, Folder):
        known = _released(calibration, training)
        if known is None:
            found = folder_clips(
                calibration.path,
                sample_rate_hz=rate_hz,
                resample_into=calibration.resample_into,
            )
            facts = Calibration(sha256=found.sha256, clips=len(found.calibration))
            return Chosen(found.calibration, facts, found.held_back, rate_hz)
        calibration = known
    if not calibration:
        return Chosen([], None, _judges(synthetic_corpus(split="validation"), seed=0), rate_hz)
    if training is None:
        train, validation = _untrained(parent, calibration)
    else:
        train, validation = _clips(parent, training, calibration)
    seed = training.seed if training else 0
    classes = len({(clip.corpus, clip.emotion) for clip in train})
    per_class = max(clips_per_class, -(-at_least // classes))
    picked = calibration_clips(train, per_class=per_class, seed=seed)
    facts = Calibration(sha256=ids_sha256(picked), clips=len(picked))
    return Chosen(picked, facts, _judges(validation, seed=seed), rate_hz)


def _judges(clips: Sequence[Clip], *, seed: int) -> list[Clip]:
    return calibration_clips(clips, per_class=_VALIDATION_PER_CLASS, seed=seed)


def _released(folder: Folder, training: Training | None) -> dict[str, Where | None] | None:
    """A folder that is a corpus as it was released, under its name: then its speakers are known.

    None for other folders, and for a model of which nobody knows whose speech it was trained on.
    """
    if training is None or not folder.path.is_dir():
        return None
    try:
        name = recognise_corpus(folder.path).name
    except CorpusError:
        return None
    if name in _ANY_CORPUS:
        return None
    return {name: Source(folder.path, resample_into=folder.resample_into)}


def _untrained(parent: Artifact, corpora: Mapping[str, Where | None]) -> tuple[list[Clip], list[Clip]]:
    """Generated clips, for a model of which nobody knows whose speech it was trained on."""
    if any(where is not None for where in corpora.values()):
        raise ModelError(
            f"model {parent.path} has no manifest that says whose speech it was trained on, so nobody can "
            "choose clips of a corpus for it. Give a folder of audio files, --calibration DIR, whose clips "
            "are taken as they are, or the file with its manifest, as `edgebench train` leaves one."
        )
    return synthetic_corpus(split="train"), synthetic_corpus(split="validation")


def _clips(
    parent: Artifact, training: Training, corpora: Mapping[str, Where | None]
) -> tuple[list[Clip], list[Clip]]:
    """The labelled clips of the training and of the validation speakers."""
    train: list[Clip] = []
    validation: list[Clip] = []
    tests: set[str] = set()
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
            elif clip.speaker in speakers.test:
                tests.add(f"{name} {clip.speaker}")
    if not train and not validation and tests:
        raise CorpusError(
            f"corpus {', '.join(corpora)} holds clips of {parent.key}'s test speakers alone "
            f"({', '.join(sorted(tests))}). Ranges set on them would make them seen, and no figure on them "
            "would be a test. Give the corpus with its training and validation speakers."
        )
    if not train or not validation:
        raise UsageError(
            f"no clip of the speakers that {parent.key} was trained and validated on was found in "
            f"{', '.join(corpora)}. Check the paths."
        )
    return train, validation
