"""How a supervised training is judged: UA of whole clips of the validation speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgebench.corpora import EMOTIONS, Clip, load_waveform
from edgebench.models.outputs import EMOTION_LOGITS

if TYPE_CHECKING:
    from torch import Tensor

    from edgebench.models.layers.speech_net import SpeechNet


class Validator:
    """Scores a net on whole clips, one at a time, as on a board.

    ``score`` is the mean UA over corpora, so that the largest does not decide alone. Where a real corpus is
    present, synthetic ones do not count.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.clips = list(clips)
        self._log_mels: list[Tensor] = []
        names = {clip.corpus for clip in clips}
        real = {clip.corpus for clip in clips if clip.label_source != "synthetic"}
        self.corpora, self.judges = sorted(names), sorted(real or names)

    def __call__(self, model: SpeechNet) -> dict[str, float]:
        import audmetric  # noqa: PLC0415
        import torch  # noqa: PLC0415

        with torch.no_grad():
            if not self._log_mels:
                # The front end is fixed, so what it makes of the validation clips is made once.
                self._log_mels = [
                    model.features(torch.from_numpy(load_waveform(clip)).unsqueeze(0)) for clip in self.clips
                ]
            logits = torch.cat(
                [
                    model.classify(log_mel, outputs=[EMOTION_LOGITS])[EMOTION_LOGITS]
                    for log_mel in self._log_mels
                ]
            )
        truth = np.array([EMOTIONS.index(str(clip.emotion)) for clip in self.clips])
        prediction = logits.argmax(1).numpy()
        found: dict[str, float] = {}
        for corpus in self.corpora:
            rows = np.array([clip.corpus == corpus for clip in self.clips])
            present = sorted(set(truth[rows].tolist()))
            recalls = audmetric.recall_per_class(
                truth[rows], prediction[rows], labels=list(range(len(EMOTIONS)))
            )
            found[f"ua_{corpus}"] = float(np.mean([recalls[label] for label in present]))
        found["loss_validation"] = float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(truth)))
        return {"score": float(np.mean([found[f"ua_{corpus}"] for corpus in self.judges])), **found}
