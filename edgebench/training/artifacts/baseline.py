"""The simple baseline beside which every net is set: logistic regression on 52 numbers a clip.

They are the mean and the deviation over time of the 26 log-mel bands that Wav2Small reads, of the waveform as
it was recorded: the baseline uses the level, which Wav2Small normalises away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edgebench.corpora import EMOTIONS, Clip, load_waveform
from edgebench.models.layers.frontend import LogMel
from edgebench.models.outputs import EMOTION_LOGITS
from edgebench.results.records.messages import Predictions
from edgebench.training.teachers.distributions import even_factors, softmax

KEY = "logistic regression"
ALIGNED_KEY = f"{KEY}, aligned"
ABSENT = -100.0  # the logit of an emotion that no training clip has


class Baseline:
    """Multinomial logistic regression (L2, C = 1) on features standardised by the training clips."""

    def __init__(self, train: Sequence[Clip]) -> None:
        labels = np.array([EMOTIONS.index(str(clip.emotion)) for clip in train])
        self._present = np.unique(labels)
        self._model = None
        if len(self._present) > 1:
            regression = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000)
            self._model = make_pipeline(StandardScaler(), regression).fit(statistics(train), labels)

    def __call__(self, clips: Sequence[Clip]) -> NDArray[np.float64]:
        """Logits (clips, 4) in the order of ``EMOTIONS``."""
        logits = np.full((len(clips), len(EMOTIONS)), ABSENT)
        logits[:, self._present] = 0.0
        if self._model is not None:
            found: NDArray[np.float64] = self._model.decision_function(statistics(clips))
            # Of two classes scikit-learn gives one column: the logit of the second over the first.
            columns = self._present[1:] if found.ndim == 1 else self._present
            logits[:, columns] = found.reshape(len(clips), -1)
        return logits


def statistics(clips: Sequence[Clip]) -> NDArray[np.float64]:
    """(clips, 52): mean, then deviation, of each mel band in dB."""
    front_end, rows = LogMel(), []
    for clip in clips:
        bands = front_end.fast(torch.from_numpy(load_waveform(clip)).unsqueeze(0))[0, 0]  # (frames, 26)
        rows.append(torch.cat([bands.mean(0), bands.std(0, correction=0)]).double().numpy())
    return np.stack(rows)


def predict_baseline(
    train: Sequence[Clip], test: Sequence[Clip], *, unlabelled: Sequence[Clip] = ()
) -> Predictions:
    """Fit the baseline to the training clips and answer for the test clips.

    With ``unlabelled`` clips its answers are aligned over these by :func:`.even_factors`, as a teacher's are:
    what the regression makes of the speech that an adapted student was trained on. Their labels are not used.
    """
    baseline = Baseline(train)
    logits = baseline(test)
    if unlabelled:
        distributions = softmax(baseline(unlabelled).astype(np.float32), temperature=1.0)
        logits = logits + np.log(even_factors(distributions))
    rows = tuple(tuple(float(value) for value in row) for row in logits)
    return Predictions(clips=tuple(clip.id for clip in test), names=(EMOTION_LOGITS,), values=(rows,))
