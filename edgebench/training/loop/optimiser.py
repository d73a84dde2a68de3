"""The schedule of the learning rate, AdamW by layers, and the running average of the weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from edgebench.errors import ConfigError


def learning_rate_ratio(step: int, *, steps: int, warmup_steps: int, final_ratio: float) -> float:
    """Linear up to 1 over the warm-up, then a half cosine down to ``final_ratio`` at the last step."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return final_ratio + (1.0 - final_ratio) * 0.5 * (1.0 + float(np.cos(np.pi * min(1.0, done))))


def average_of(model: nn.Module, *, decay: float) -> AveragedModel:
    """An exponential average of weights and buffers that forgets its start: the decay grows into its value.

    subtle: buffers are averaged too, so that batch norm's statistics belong to the averaged weights.
    """

    def blend(mean: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        if not mean.is_floating_point():
            return new
        seen = float(count)
        return torch.lerp(mean, new, 1.0 - min(decay, (1.0 + seen) / (10.0 + seen)))

    return AveragedModel(model, avg_fn=blend, use_buffers=True)


def optimiser_of(
    model: nn.Module, *, learning_rate: float, weight_decay: float, pretrained_ratio: float = 1.0
) -> torch.optim.AdamW:
    """AdamW that decays kernels and matrices; biases and norms have nothing to shrink.

    Where ``pretrained_ratio`` is not 1, everything but ``model.new_parameters()`` stands in groups of
    that ``ratio`` to the learning rate.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    parts = [(1.0, trained)]
    if pretrained_ratio != 1.0:
        new = {id(parameter) for parameter in getattr(model, "new_parameters", lambda: ())()}
        if not new:
            raise ConfigError(
                f"optimiser.pretrained_ratio is {pretrained_ratio:g}, and {type(model).__name__} has no "
                "layers beside those that a checkpoint fills. Leave it at 1."
            )
        old = [parameter for parameter in trained if id(parameter) not in new]
        parts = [(pretrained_ratio, old), (1.0, [p for p in trained if id(p) in new])]
    groups = []
    for ratio, part in parts:
        groups += [
            {"params": [p for p in part if p.ndim > 1], "weight_decay": weight_decay, "ratio": ratio},
            {"params": [p for p in part if p.ndim <= 1], "weight_decay": 0.0, "ratio": ratio},
        ]
    return torch.optim.AdamW(groups, lr=learning_rate)
