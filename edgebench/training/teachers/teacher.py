"""The teacher of a distillation: any artifact that gives arousal, dominance and valence of any length.

It is run by onnxruntime, so that a student can be taught by what a file answers, whatever made it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.agent.waveform import PreparationError, check, prepare
from edgebench.corpora import ADV, EMOTIONS, SAMPLE_RATE_HZ
from edgebench.errors import ConfigError, ModelError
from edgebench.models.artifact import Artifact, load_artifact
from edgebench.models.outputs import DIMENSIONS, EMOTION_LOGITS

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Labels waveforms. The answers depend on the waveform and the file, and on nothing else."""

    def __init__(self, artifact: Artifact, *, threads: int, emotions: bool) -> None:
        import onnxruntime  # noqa: PLC0415

        self.artifact = artifact
        self._steps = _preparation(artifact)
        self._dimensional, self._columns = _dimensional(artifact)
        self._categorical: str | None = None
        self._classes: list[int] = []
        if emotions:
            self._categorical, self._classes = _categorical(artifact)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what goes wrong comes back as an exception, in our words
        try:
            self._session = onnxruntime.InferenceSession(
                str(artifact.path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors are classes of its own
            raise ModelError(f"teacher {artifact.path} cannot be loaded: {_line(error)}.") from None
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, (2, PROBE_SAMPLES))
        self(noise.astype(np.float32))

    def __call__(self, waveforms: Array) -> tuple[Array, Array | None]:
        """Waveforms (batch, samples) to A/D/V (batch, 3) and emotion logits (batch, 4) or None.

        Raises :class:`ModelError` for an answer of another shape, or with NaN or infinity in it.
        """
        # Every step makes equal lengths of equal lengths, so that a batch stays a batch.
        prepared = np.stack([prepare(waveform, self._steps, SAMPLE_RATE_HZ) for waveform in waveforms])
        if len(self.artifact.input_shape) > 1 and self.artifact.input_shape[0] is None:
            rows = [self._run(prepared)]
        else:
            rows = [self._run(waveform[np.newaxis]) for waveform in prepared]
        adv = np.concatenate([row[0] for row in rows])[:, self._columns]
        if self._categorical is None:
            return adv, None
        return adv, np.concatenate([row[1] for row in rows])[:, self._classes]

    def _run(self, waveforms: Array) -> list[Array]:
        rank, batch = len(self.artifact.input_shape), len(waveforms)
        shaped = waveforms[0] if rank == 1 else waveforms[:, np.newaxis] if rank == 3 else waveforms
        names = [self._dimensional, *([self._categorical] if self._categorical else [])]
        widths = (len(ADV), len(EMOTIONS))
        try:
            answers = self._session.run(names, {self.artifact.input_name: shaped})
        except Exception as error:
            raise ModelError(
                f"teacher {self.artifact.path} does not take {waveforms.shape[1]} samples: {_line(error)}. "
                "Give a teacher that takes any length, or other lengths with data.length_s."
            ) from None
        found = []
        for name, width, answer in zip(names, widths, answers, strict=False):
            values = np.asarray(answer, dtype=np.float32)
            if values.size != batch * width or not np.isfinite(values).all():
                told = f"shape {values.shape}" if values.size != batch * width else "NaN or infinity in it"
                raise ModelError(
                    f"teacher {self.artifact.path}: output {name!r} has {told}, expected ({batch}, {width}) "
                    "finite values. Export the teacher again; nothing can be learnt from this one."
                )
            found.append(values.reshape(batch, width))
        return found


def _preparation(artifact: Artifact) -> list[dict[str, Any]]:
    """The manifest's steps; refuses a teacher of one length or of another sample rate."""
    if artifact.samples is not None:
        raise ModelError(
            f"teacher {artifact.path} takes exactly {artifact.samples} samples "
            f"({artifact.samples / SAMPLE_RATE_HZ:g} s), and distillation asks it about excerpts of many "
            "lengths. Export it with a free time axis."
        )
    manifest = artifact.manifest
    if manifest is None:
        return []
    if manifest.sample_rate_hz != SAMPLE_RATE_HZ:
        raise ModelError(
            f"teacher {artifact.path} works at {manifest.sample_rate_hz} Hz, and the excerpts are at "
            f"{SAMPLE_RATE_HZ} Hz. Export it with a resampler inside, or take another teacher."
        )
    steps: list[dict[str, Any]] = [dict(step) for step in manifest.preparation]
    try:
        check(steps)
    except PreparationError as error:
        raise ModelError(
            f"teacher {artifact.path}: {error}. Take another teacher, or mend its manifest."
        ) from None
    return steps


def _dimensional(artifact: Artifact) -> tuple[str, list[int]]:
    """The output of arousal, dominance and valence, and its columns in the order of ``ADV``."""
    if artifact.manifest is not None:
        for name, task in artifact.manifest.tasks.items():
            if task.kind == "dimensional" and sorted(task.labels) == sorted(ADV):
                return name, [task.labels.index(label) for label in ADV]
    elif DIMENSIONS in artifact.outputs:
        return DIMENSIONS, [0, 1, 2]
    raise ModelError(
        f"teacher {artifact.path} gives no arousal, dominance and valence: its outputs are "
        f"{_listed(artifact.outputs)}. Take a teacher whose manifest names them, or whose output is called "
        f"{DIMENSIONS!r}."
    )


def _categorical(artifact: Artifact) -> tuple[str, list[int]]:
    """The output of emotion logits, and its columns in the order of ``EMOTIONS``."""
    if artifact.manifest is not None:
        for name, task in artifact.manifest.tasks.items():
            if task.kind == "categorical" and sorted(task.labels) == sorted(EMOTIONS):
                return name, [task.labels.index(label) for label in EMOTIONS]
    elif EMOTION_LOGITS in artifact.outputs:
        return EMOTION_LOGITS, [0, 1, 2, 3]
    raise ModelError(
        f"teacher {artifact.path} gives no logits of {', '.join(EMOTIONS)}, and the recipe asks for soft "
        f"emotion targets (loss.emotion_weight): its outputs are {_listed(artifact.outputs)}. "
        "Set loss.emotion_weight=0, or take a teacher that has them."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")
