"""The loop of a categorical fine-tuning, and how it is judged: UA of whole clips of the validation part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgebench.agent.waveform import prepare
from edgebench.corpora import EMOTIONS, SAMPLE_RATE_HZ, Clip
from edgebench.errors import UsageError
from edgebench.models.layers.speech_net import SpeechNet
from edgebench.models.outputs import EMOTION_LOGITS
from edgebench.results.metrics.accuracy import accuracy, f1_mean, recall_mean
from edgebench.training.clips.waveforms import Waveforms
from edgebench.training.fine_tuning.data import FineTuningBatch, FineTuningData
from edgebench.training.fine_tuning.focal import emotion_numbers, focal_loss
from edgebench.training.fine_tuning.recipe import FoldRecipe
from edgebench.training.loop.loop import Loop
from edgebench.training.loop.optimiser import optimiser_of
from edgebench.training.loop.processes import OnDevice


class FineTuner(Loop[FoldRecipe, FineTuningBatch]):
    """Trains the recipe's architecture on the emotions of one fold's train part."""

    data: FineTuningData

    def make_optimiser(self) -> torch.optim.Optimizer:
        """AdamW of what is not frozen. Raises :class:`UsageError` where nothing can be frozen."""
        if self.recipe.model.freeze_feature_encoder:
            if not hasattr(self.model, "freeze_feature_encoder"):
                raise UsageError(
                    f"architecture {self.recipe.architecture!r} has no feature encoder to freeze. Set "
                    "model.freeze_feature_encoder=false, or take a transformer such as 'distilhubert'."
                )
            self.model.freeze_feature_encoder()  # type: ignore[operator]
        schedule = self.recipe.optimiser
        return optimiser_of(
            self.model, learning_rate=schedule.learning_rate, weight_decay=schedule.weight_decay
        )

    def loss(self, batch: FineTuningBatch, rng: np.random.Generator) -> Tensor:
        """The focal loss of a batch; nothing is drawn."""
        device = next(self.model.parameters()).device
        waveforms, lengths, emotions = (torch.from_numpy(part).to(device) for part in batch)
        with self.autocast():
            masked = self.recipe.prepare.padding == "masked"
            answers = self.model(waveforms, lengths if masked else None, outputs=[EMOTION_LOGITS])
        options = self.recipe.loss
        return focal_loss(
            self.whole(emotions),
            self.whole(answers[EMOTION_LOGITS].float()),
            weights=torch.from_numpy(self.data.weights).to(device, torch.float32),
            gamma=options.gamma,
            smoothing=options.smoothing,
        )

    def identity(self) -> tuple[str, list[str]]:
        return self.recipe.training_json(), self.data.names

    def best_logits(self, clips: Sequence[Clip]) -> NDArray[np.float32]:
        """What the best epoch says of whole clips, (clips, 4), computed where the training was."""
        device = self.processes.device
        model = self.best_model().to(device)
        judged = model if device.type == "cpu" else cast(SpeechNet, OnDevice(model, device))
        waveforms = Waveforms(clips, self.recipe.data.cache_mb * 1_000_000)
        return logits_of(judged, waveforms, self.recipe.prepare.steps())


class FoldValidator:
    """Scores a net on whole clips, one at a time and unpadded, as a board will see them.

    ``score`` is the UA averaged over corpora; beside it the WA, macro F1 and loss of all clips pooled.
    """

    def __init__(self, clips: Sequence[Clip], recipe: FoldRecipe) -> None:
        self.corpora = np.array([clip.corpus for clip in clips])
        self.truth = emotion_numbers(clips)
        self._waveforms = Waveforms(clips, recipe.data.cache_mb * 1_000_000)
        self._steps = recipe.prepare.steps()

    def __call__(self, model: SpeechNet) -> dict[str, float]:
        logits = logits_of(model, self._waveforms, self._steps)
        prediction = logits.argmax(1)
        uas = {
            f"ua_{corpus}": float(recall_mean(confusion(self.truth[rows], prediction[rows])))
            for corpus in sorted(set(self.corpora.tolist()))
            for rows in [self.corpora == corpus]
        }
        pooled = confusion(self.truth, prediction)
        loss = nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(self.truth))
        return {
            "score": float(np.mean(list(uas.values()))),
            "wa": float(accuracy(pooled)),
            "macro_f1": float(f1_mean(pooled)),
            "loss_validation": float(loss),
            **uas,
        }


def logits_of(model: SpeechNet, waveforms: Waveforms, steps: list[dict[str, Any]]) -> NDArray[np.float32]:
    """The emotion logits of whole clips, prepared by ``steps``, one at a time: (clips, 4)."""
    rows = []
    with torch.no_grad():
        for index in range(len(waveforms.clips)):
            prepared = prepare(waveforms[index], steps, SAMPLE_RATE_HZ)
            batch = torch.from_numpy(np.ascontiguousarray(prepared)[np.newaxis])
            rows.append(model(batch, outputs=[EMOTION_LOGITS])[EMOTION_LOGITS].numpy())
    found: NDArray[np.float32] = np.concatenate(rows).astype(np.float32)
    return found


def confusion(truth: NDArray[np.int64], prediction: NDArray[np.int64]) -> NDArray[np.float64]:
    """(4, 4) clips: rows truth, columns prediction."""
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)))
    np.add.at(counts, (truth, prediction), 1)
    return counts
