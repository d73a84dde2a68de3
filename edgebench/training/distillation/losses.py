"""The losses of a distillation: concordance with the teacher, and the quadrant correction.

Source: Kounadis-Bastian et al., "Wav2Small", Sec. II-C and answer 11 to the reviewers:
``100 * CCC_loss + 4 * quadrant_correction_loss``.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def quadrants(adv: Tensor, *, neutral: float = 0.5) -> Tensor:
    """The side of ``neutral`` in each dimension: -1, 0 or 1, as (batch, 3); one row names one quadrant.

    Exactly neutral is a side of its own, 0, as the paper's "positive / negative / neutral" has it.
    """
    return (adv - neutral).sign()


def quadrant_correction(truth: Tensor, prediction: Tensor, *, neutral: float = 0.5) -> Tensor:
    """L1 to the teacher where the student is in another quadrant; both (batch, dimensions).

    A row counts where teacher and student lie on different sides of ``neutral`` in at least one
    dimension; it then counts with all its dimensions: ``|prediction - truth|``. The sum of these
    over the rows that count, divided by the number of all rows times dimensions: rows that agree
    add nothing, and the loss vanishes where all agree. The choice of rows has no gradient.
    """
    apart = (quadrants(truth, neutral=neutral) != quadrants(prediction, neutral=neutral)).any(1)
    return ((prediction - truth).abs() * apart.unsqueeze(1)).mean()


def soft_cross_entropy(truth_logits: Tensor, logits: Tensor, *, temperature: float) -> Tensor:
    """Mean of ``-sum_c softmax(truth / T)_c log softmax(logits / T)_c``, times ``T ** 2``.

    Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015: the square keeps the
    size of the gradient where the temperature changes. Both (batch, classes).
    """
    targets = functional.softmax(truth_logits / temperature, dim=1)
    nats = -(targets * functional.log_softmax(logits / temperature, dim=1)).sum(1)
    return temperature**2 * nats.mean()
