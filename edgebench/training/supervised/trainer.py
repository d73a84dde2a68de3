"""The loop of supervised training: masked log-mels, cross-entropy on soft targets, and concordance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgebench.corpora import SAMPLE_RATE_HZ
from edgebench.models.outputs import DIMENSIONS, EMOTION_LOGITS
from edgebench.training.loop import losses
from edgebench.training.loop.loop import Loop
from edgebench.training.loop.optimiser import optimiser_of
from edgebench.training.supervised.augment import mask_log_mel
from edgebench.training.supervised.data import Batch, TrainingData
from edgebench.training.supervised.recipe import SupervisedRecipe
from edgebench.training.supervised.soft_labels import SoftLabels


class Trainer(Loop[SupervisedRecipe, Batch]):
    """Trains the recipe's architecture on the labels of ``data``."""

    data: TrainingData | SoftLabels

    def make_optimiser(self) -> torch.optim.Optimizer:
        schedule = self.recipe.optimiser
        return optimiser_of(
            self.model,
            learning_rate=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            pretrained_ratio=schedule.pretrained_ratio,
        )

    def identity(self) -> tuple[str, list[str]]:
        return self.recipe.training_json(), self.data.names

    def loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        """The recipe's loss of a batch, masks drawn from ``rng``."""
        augment, weights = self.recipe.augment, self.recipe.loss
        log_mel = mask_log_mel(
            self.model.features(self.tensor(batch.waveforms)),
            mel_masks=augment.mel_masks,
            mel_mask_bands=augment.mel_mask_bands,
            time_masks=augment.time_masks,
            time_mask_frames=round(augment.time_mask_s * SAMPLE_RATE_HZ / self.model.hop_samples),
            rng=rng,
        )
        with self.autocast():
            answers = self.model.classify(self.in_order(log_mel))
        emotion = losses.cross_entropy(
            self.whole(self.tensor(batch.emotions)),
            self.whole(answers[EMOTION_LOGITS].float()),
            weights=self.whole(self.tensor(batch.weights)),
            smoothing=weights.smoothing,
        )
        dimensional = losses.ccc_loss(
            self.whole(self.tensor(batch.adv)), self.whole(answers[DIMENSIONS].float())
        )
        return weights.emotion_weight * emotion + weights.ccc_weight * dimensional
