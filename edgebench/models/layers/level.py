"""What a published checkpoint expects to have been done to the level of a waveform."""

from __future__ import annotations

import math
from enum import IntEnum

import torch
from torch import Tensor, nn

from edgebench.models.layers.frontend import VARIANCE_FLOOR, normalise_level

DEVIATION_FLOOR = 1e-6  # added to a corpus's deviation, as the Odyssey 2024 baseline does


class Rule(IntEnum):
    """``do_normalize`` of a checkpoint's preprocessor (false, true), or a training corpus's figures."""

    NONE = 0
    UTTERANCE = 1
    CORPUS = 2


class Level(nn.Module):
    """Waveform (batch, samples) to waveform: as it is, at mean 0 and variance 1, or by fixed figures.

    The rule belongs to the weights and is saved with them, as three numbers: rule, mean, deviation.
    """

    def __init__(self, rule: Rule, *, mean: float = 0.0, deviation: float = 1.0) -> None:
        super().__init__()
        self.rule, self.mean, self.deviation = rule, mean, deviation

    def get_extra_state(self) -> Tensor:
        return torch.tensor([float(self.rule), self.mean, self.deviation], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        rule, self.mean, self.deviation = state.tolist()
        self.rule = Rule(int(rule))

    def extra_repr(self) -> str:
        return f"{self.rule.name.lower()}, mean={self.mean}, deviation={self.deviation}"

    def forward(self, waveform: Tensor, sound: Tensor | None = None) -> Tensor:
        """``sound`` (batch, samples) marks what is not padding; padding comes out as 0."""
        if self.rule is Rule.CORPUS:
            waveform = (waveform - self.mean) / (self.deviation + DEVIATION_FLOOR)
        elif self.rule is Rule.UTTERANCE and sound is None:
            return normalise_level(waveform)
        elif self.rule is Rule.UTTERANCE:
            assert sound is not None
            kept = sound.to(waveform.dtype)
            samples = kept.sum(1, keepdim=True)
            centred = (waveform - (waveform * kept).sum(1, keepdim=True) / samples) * kept
            waveform = centred / ((centred * centred).sum(1, keepdim=True) / samples + VARIANCE_FLOOR).sqrt()
        return waveform if sound is None else waveform * sound.to(waveform.dtype)


def corpus_level(mean: object, deviation: object) -> Level | None:
    """The level of a checkpoint whose configuration holds its corpus's figures; None where it does not."""
    if not isinstance(mean, (int, float)) or not isinstance(deviation, (int, float)):
        return None
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0.0):
        return None
    return Level(Rule.CORPUS, mean=float(mean), deviation=float(deviation))
