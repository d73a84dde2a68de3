"""The trivial baseline beside which every net has to stand: logistic regression on 52 numbers a clip.

Mean and deviation over time of the 26 log-mels that Wav2Small starts from, but of the waveform as
it was recorded: the baseline keeps the level, which the net normalises away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from edgebench.corpora import EMOTIONS, Clip, load_waveform
from edgebench.models.layers.frontend import LogMel
from edgebench.results.records.messages import Predictions
from edgebench.training.teachers.distributions import even_factors, softmax

OUTPUT = "emotion_logits"
KEY = "logistic regression"
ALIGNED_KEY = f"{KEY}, aligned"


def statistics(clips: Sequence[Clip]) -> NDArray[np.float64]:
    """(clips, 52): mean, then deviation, of each mel band in dB."""
    front_end, rows = LogMel(), []
    for clip in clips:
        bands = front_end.fast(torch.from_numpy(load_waveform(clip)).unsqueeze(0))[0, 0]  # (frames, 26)
        rows.append(torch.cat([bands.mean(0), bands.std(0, correction=0)]).double().numpy())
    return np.stack(rows)


def fit(
    features: NDArray[np.float64], labels: NDArray[np.int64], *, classes: int, strength: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (features, classes) and biases (classes,) of a multinomial logistic regression.

    Minimises ``|weights|^2 / 2 + strength * sum of nats``, biases free: scikit-learn's objective with
    ``C = strength``. Convex, so there is one answer; LBFGS in double precision finds it.
    """
    x, y = torch.from_numpy(features), torch.from_numpy(labels)
    weights = torch.zeros(features.shape[1], classes, dtype=torch.float64, requires_grad=True)
    biases = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, biases], max_iter=1000, tolerance_grad=1e-7, line_search_fn="strong_wolfe"
    )

    def objective() -> torch.Tensor:
        optimiser.zero_grad()
        nats = functional.cross_entropy(x @ weights + biases, y, reduction="sum")
        value = 0.5 * (weights**2).sum() + strength * nats
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(objective)  # type: ignore[no-untyped-call]
    return weights.detach().numpy(), biases.detach().numpy()


def predict_baseline(
    train: Sequence[Clip], test: Sequence[Clip], *, unlabelled: Sequence[Clip] = ()
) -> Predictions:
    """Learn on the training clips, standardised by them, and answer for the test clips.

    With ``unlabelled`` clips the answers are aligned over these (:func:`.even_factors`), as a
    teacher's are: what the regression makes of the same speech without labels. No label of them is used.
    """
    seen = statistics(train)
    mean, deviation = seen.mean(0), seen.std(0) + 1e-9  # the lowest band never moves
    labels = np.array([EMOTIONS.index(str(clip.emotion)) for clip in train])
    weights, biases = fit((seen - mean) / deviation, labels, classes=len(EMOTIONS))

    def answer(clips: Sequence[Clip]) -> NDArray[np.float64]:
        logits: NDArray[np.float64] = (statistics(clips) - mean) / deviation @ weights + biases
        return logits

    logits = answer(test)
    if unlabelled:
        spread = softmax(answer(unlabelled).astype(np.float32), temperature=1.0)
        logits = logits + np.log(even_factors(spread))
    rows = tuple(tuple(float(value) for value in row) for row in logits)
    return Predictions(clips=tuple(clip.id for clip in test), names=(OUTPUT,), values=(rows,))
