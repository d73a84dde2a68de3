"""The loop of a distillation, and how it is judged: by agreement with the teacher on validation speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgebench.corpora import ADV, SAMPLE_RATE_HZ, Clip, load_waveform
from edgebench.errors import ConfigError
from edgebench.models.layers.speech_net import SpeechNet
from edgebench.models.outputs import DIMENSIONS, EMOTION_LOGITS
from edgebench.training.clips.gather import by_corpus
from edgebench.training.distillation.data import DistillationBatch, DistillationData
from edgebench.training.distillation.losses import quadrant_correction, quadrants, soft_cross_entropy
from edgebench.training.distillation.recipe import DistillationRecipe
from edgebench.training.loop import losses
from edgebench.training.loop.loop import Loop
from edgebench.training.loop.optimiser import optimiser_of
from edgebench.training.teachers.teacher import Teacher

LONGEST_S = 30.0  # of a validation clip, as a board crops it


class Distiller(Loop[DistillationRecipe, DistillationBatch]):
    """Trains the recipe's architecture on the teacher's answers."""

    score: ClassVar[str] = "CCC with the teacher"
    data: DistillationData

    def make_optimiser(self) -> torch.optim.Optimizer:
        """SGD as the paper has it, or AdamW."""
        schedule = self.recipe.optimiser
        if schedule.algorithm == "adamw":
            return optimiser_of(
                self.model, learning_rate=schedule.learning_rate, weight_decay=schedule.weight_decay
            )
        return torch.optim.SGD(
            [parameter for parameter in self.model.parameters() if parameter.requires_grad],
            lr=schedule.learning_rate,
            momentum=schedule.momentum,
            weight_decay=schedule.weight_decay,
        )

    def loss(self, batch: DistillationBatch, rng: np.random.Generator) -> Tensor:
        """``100 * (1 - CCC) + 4 * quadrant correction`` by the recipe's weights; nothing is drawn."""
        weights = self.recipe.loss
        log_mel = self.in_order(self.model.features(self.tensor(batch.waveforms)))
        with self.autocast():
            answers = self.model.classify(log_mel)
        truth = self.whole(self.tensor(batch.adv))
        prediction = self.whole(answers[DIMENSIONS].float())
        total = weights.ccc_weight * losses.ccc_loss(truth, prediction)
        total = total + weights.quadrant_weight * quadrant_correction(
            truth, prediction, neutral=weights.neutral
        )
        if weights.emotion_weight > 0.0:
            if batch.logits is None:
                raise ConfigError(
                    "loss.emotion_weight asks for soft emotion targets, and the teacher's batch holds none. "
                    "Load the teacher with its emotions, or set loss.emotion_weight=0."
                )
            emotion = soft_cross_entropy(
                self.whole(self.tensor(batch.logits)),
                self.whole(answers[EMOTION_LOGITS].float()),
                temperature=weights.emotion_temperature,
            )
            total = total + weights.emotion_weight * emotion
        return total

    def identity(self) -> tuple[str, list[str]]:
        sha256 = self.data.teacher.artifact.sha256
        return self.recipe.training_json(teacher_sha256=sha256), self.data.names


class TeacherValidator:
    """Scores a net by its agreement with the teacher on whole clips, one at a time.

    ``score`` is the CCC with the teacher, averaged over A, D and V and over corpora, synthetic ones left
    out where a real one is present; ``quadrants`` is the share of clips in the teacher's quadrant.
    """

    def __init__(self, clips: Sequence[Clip], teacher: Teacher, *, neutral: float) -> None:
        self._neutral = neutral
        self._clips = by_corpus(clips)
        real = {clip.corpus for clip in clips if clip.label_source != "synthetic"}
        self.judges = sorted(real or set(self._clips))
        self._truth = {
            corpus: torch.from_numpy(np.concatenate([teacher(_whole(clip))[0] for clip in chosen]))
            for corpus, chosen in self._clips.items()
        }
        self._log_mels: dict[str, list[Tensor]] = {}

    def __call__(self, model: SpeechNet) -> dict[str, float]:
        found: dict[str, float] = {}
        agreeing = total = 0
        with torch.no_grad():
            if not self._log_mels:  # the front end is fixed: what it makes of the clips is made once
                for corpus, chosen in self._clips.items():
                    self._log_mels[corpus] = [
                        model.features(torch.from_numpy(_whole(clip))) for clip in chosen
                    ]
            for corpus, truth in self._truth.items():
                prediction = torch.cat(
                    [model.classify(m, outputs=[DIMENSIONS])[DIMENSIONS] for m in self._log_mels[corpus]]
                )
                for name, value in zip(ADV, losses.ccc(truth, prediction).tolist(), strict=True):
                    found[f"ccc_{name}_{corpus}"] = value
                same = quadrants(truth, neutral=self._neutral) == quadrants(prediction, neutral=self._neutral)
                agreeing, total = agreeing + int(same.all(1).sum()), total + len(truth)
        judged = [found[f"ccc_{name}_{corpus}"] for corpus in self.judges for name in ADV]
        return {"score": float(np.mean(judged)), "quadrants": agreeing / max(1, total), **found}


def _whole(clip: Clip) -> NDArray[np.float32]:
    """(1, samples), at most half a minute."""
    return load_waveform(clip)[np.newaxis, : round(LONGEST_S * SAMPLE_RATE_HZ)]
