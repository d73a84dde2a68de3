"""A teacher: any artifact that gives arousal, dominance and valence of sounds of any length.

It is a file that a runtime runs, so that a student can learn from any net, whatever it was made with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgebench.agent.waveform import PreparationError, check
from edgebench.corpora import ADV, EMOTIONS, SAMPLE_RATE_HZ
from edgebench.errors import ConfigError, ModelError
from edgebench.models.artifact import Artifact, load_artifact
from edgebench.models.host import HostModel
from edgebench.models.outputs import DIMENSIONS, EMOTION_LOGITS

Array = NDArray[np.float32]
PROBE_SAMPLES = 6_400  # 0.4 s, the shortest excerpt of the paper


def load_teacher(key_or_path: str, *, threads: int, emotions: bool) -> Teacher:
    """Find a teacher and try it once.

    Raises :class:`ConfigError` where the recipe names none, and :class:`ModelError` for a file that
    cannot be read, has no arousal, dominance and valence, takes one length only, works at another
    rate, has no emotion logits where ``emotions`` are asked for, or does not answer as it promises.
    """
    if not key_or_path.strip():
        raise ConfigError(
            "the recipe distils from a teacher, and names none. Give an ONNX file or the key of a packaged "
            "model that answers arousal, dominance and valence: --set teacher=PATH."
        )
    return Teacher(load_artifact(key_or_path), threads=threads, emotions=emotions)


class Teacher:
    """Labels waveforms with a model file. The answers depend on the waveform and on the file alone."""

    def __init__(self, artifact: Artifact, *, threads: int, emotions: bool) -> None:
        self.artifact = artifact
        _refuse_unfit(artifact)
        self._dimensions = _output_of(artifact, "dimensional", DIMENSIONS, ADV)
        self._emotions: _Output | None = None
        if emotions:
            self._emotions = _output_of(artifact, "categorical", EMOTION_LOGITS, EMOTIONS)
        self._model = HostModel(artifact, threads=threads)
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, (2, PROBE_SAMPLES))
        self(noise.astype(np.float32))

    def __call__(self, waveforms: Array) -> tuple[Array, Array | None]:
        """Waveforms (batch, samples) to A/D/V (batch, 3) and emotion logits (batch, 4) or None.

        Raises :class:`ModelError` for an answer of another shape, or with NaN or infinity in it.
        """
        dimensions, emotions = [], []
        for waveform in waveforms:
            answers = self._asked(waveform)
            dimensions.append(self._read(answers, self._dimensions))
            if self._emotions is not None:
                emotions.append(self._read(answers, self._emotions))
        return np.stack(dimensions), np.stack(emotions) if self._emotions is not None else None

    def _asked(self, waveform: Array) -> dict[str, NDArray[Any]]:
        try:
            return self._model(self._model.prepared(waveform))
        except ModelError as error:
            raise ModelError(
                f"teacher {self.artifact.path} does not take {len(waveform)} samples: {error} Give a teacher "
                "that takes any length, or other lengths with data.length_s."
            ) from None

    def _read(self, answers: dict[str, NDArray[Any]], output: _Output) -> Array:
        """One answer (width,), its columns in our order."""
        values = np.asarray(answers[output.name], dtype=np.float32)
        width = len(output.columns)
        if values.size != width or not np.isfinite(values).all():
            told = f"shape {values.shape}" if values.size != width else "NaN or infinity in it"
            raise ModelError(
                f"teacher {self.artifact.path}: output {output.name!r} has {told}, expected {width} finite "
                "values a sound. Export the teacher again; nothing can be learnt from this one."
            )
        return values.ravel()[list(output.columns)]


class _Output(NamedTuple):
    """An output by name, and the columns of its labels in our order."""

    name: str
    columns: tuple[int, ...]


def _refuse_unfit(artifact: Artifact) -> None:
    """Refuse a teacher of given lengths, of another sample rate, or of steps that are not known."""
    if artifact.lengths:
        told = ", ".join(f"{samples} ({samples / SAMPLE_RATE_HZ:g} s)" for samples in artifact.lengths)
        raise ModelError(
            f"teacher {artifact.path} takes exactly these numbers of samples: {told}, and distillation asks "
            "about excerpts of many lengths. Export it with a free time axis."
        )
    manifest = artifact.manifest
    if manifest is None:
        return
    if manifest.sample_rate_hz != SAMPLE_RATE_HZ:
        raise ModelError(
            f"teacher {artifact.path} works at {manifest.sample_rate_hz} Hz, and the excerpts are at "
            f"{SAMPLE_RATE_HZ} Hz. Export it with a resampler inside, or take another teacher."
        )
    try:
        check([dict(step) for step in manifest.preparation])
    except PreparationError as error:
        raise ModelError(
            f"teacher {artifact.path}: {error}. Take another teacher, or correct its manifest."
        ) from None


def _output_of(artifact: Artifact, kind: str, name: str, labels: Sequence[str]) -> _Output:
    """The output of these labels: by the manifest, or by its name where there is no manifest."""
    if artifact.manifest is not None:
        for output, task in artifact.manifest.tasks.items():
            if task.kind == kind and sorted(task.labels) == sorted(labels):
                return _Output(output, tuple(task.labels.index(label) for label in labels))
    elif name in artifact.outputs:
        return _Output(name, tuple(range(len(labels))))
    found = ", ".join(map(repr, artifact.outputs))
    if kind == "dimensional":
        raise ModelError(
            f"teacher {artifact.path} gives no arousal, dominance and valence: its outputs are {found}. Take "
            f"a teacher whose manifest names them, or whose output is called {name!r}."
        )
    raise ModelError(
        f"teacher {artifact.path} gives no logits of {', '.join(labels)}, and the recipe asks for soft "
        f"emotion targets (loss.emotion_weight): its outputs are {found}. Set loss.emotion_weight=0, or take "
        "a teacher that has them."
    )
