"""Whether a net can learn: a batch of noise, by heart."""

from __future__ import annotations

import torch


def learn_by_heart(net, waveforms, *, steps: int, rate: float) -> None:
    """Fit each item to one of four classes and to random dimensions, until all are right and the loss is low.

    Fails where that has not come after so many steps.
    """
    items = len(waveforms)
    features, truth, target = net.features(waveforms), torch.arange(items) % 4, torch.rand(items, 3)
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=rate)
    for _ in range(steps):
        answers = net.classify(features)
        adv, logits = answers["arousal_dominance_valence"], answers["emotion_logits"]
        loss = torch.nn.functional.cross_entropy(logits, truth) + ((adv - target) ** 2).mean()
        if float(loss.detach()) < 0.05 and torch.equal(logits.argmax(1), truth):
            return
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    raise AssertionError(f"after {steps} steps the loss is {float(loss.detach()):.3f}")
