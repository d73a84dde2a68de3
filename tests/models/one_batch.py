"""Whether a net can learn: a batch of noise, by heart."""

from __future__ import annotations

import torch


def learn_by_heart(net, waveforms, *, steps: int, rate: float) -> None:
    """Fit eight items to four classes and random dimensions; fails where any class is wrong."""
    log_mel, truth, target = net.features(waveforms), torch.arange(8) % 4, torch.rand(8, 3)
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=rate)
    for _ in range(steps):
        answers = net.classify(log_mel)
        adv, logits = answers["arousal_dominance_valence"], answers["emotion_logits"]
        loss = torch.nn.functional.cross_entropy(logits, truth) + ((adv - target) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.05
    assert torch.equal(logits.argmax(1), truth)
