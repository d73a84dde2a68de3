"""Scoring: a net during training, on the validation speakers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgebench.corpora import EMOTIONS, Clip, load_waveform


def unweighted_average_recall(truth: NDArray[np.int64], prediction: NDArray[np.int64]) -> float:
    import audmetric

    return float(audmetric.unweighted_average_recall(truth, prediction, labels=list(range(len(EMOTIONS)))))


class Validator:
    """Scores a net on whole clips, one at a time, as a board will see them.

    ``score`` is the UA averaged over corpora, synthetic ones left out where a real one is present:
    a corpus of many clips must not decide alone.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = list(clips)
        self._log_mels: list[Tensor] = []
        names = {clip.corpus for clip in clips}
        real = {clip.corpus for clip in clips if clip.label_source != "synthetic"}
        self.corpora, self.judges = sorted(names), sorted(real or names)

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> dict[str, float]:
        if not self._log_mels:
            # The front end is fixed, so what it makes of the validation clips is made once.
            self._log_mels = [
                model.features(torch.from_numpy(load_waveform(clip)).unsqueeze(0))  # type: ignore[operator]
                for clip in self.clips
            ]
        logits = torch.cat([model.classify(log_mel)[1] for log_mel in self._log_mels])  # type: ignore[operator]
        truth = np.array([EMOTIONS.index(str(clip.emotion)) for clip in self.clips])
        prediction = logits.argmax(1).numpy()
        found: dict[str, float] = {}
        for corpus in self.corpora:
            rows = np.array([clip.corpus == corpus for clip in self.clips])
            found[f"ua_{corpus}"] = unweighted_average_recall(truth[rows], prediction[rows])
        found["loss_validation"] = float(functional.cross_entropy(logits, torch.from_numpy(truth)))
        return {"score": float(np.mean([found[f"ua_{corpus}"] for corpus in self.judges])), **found}
