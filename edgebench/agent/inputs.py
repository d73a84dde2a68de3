"""What a model is fed in a trial: one generated waveform, or the clips of a pack."""

from __future__ import annotations

import os

from edgebench.agent import protocol, waveform
from edgebench.agent.failure import TrialError, guard

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable

    from edgebench.agent.pack import Pack


class Inputs:
    """What a model is fed: one generated waveform, or the clips of a pack."""

    def __init__(self, trial: dict[str, Any], model: Any) -> None:
        self.model = model
        self.pack: Pack | None = None
        self.count = 1
        self._rate_hz = trial["sample_rate_hz"]
        self._steps = trial["preparation"]
        if trial["scenario"] in ("single_stream", "sustained"):
            self._generated = waveform.generate(round(trial["input_s"] * self._rate_hz), seed=trial["seed"])
        elif trial["scenario"] == "offline":
            self._open(os.path.join(trial["blobs"], trial["pack"] or ""))
        else:
            message = "scenario %r is unknown to this agent" % trial["scenario"]
            raise TrialError(protocol.PREPARATION, message)

    def _open(self, path: str) -> None:
        from edgebench.agent.pack import Pack

        self.pack = guard(protocol.PREPARATION, "pack", Pack, path)
        self.count = len(self.pack)
        if self.count == 0 or self.pack.sample_rate_hz != self._rate_hz:
            found = (self.count, self.pack.sample_rate_hz, self._rate_hz)
            raise TrialError(
                protocol.PREPARATION, "pack: %d clips at %d Hz; the trial asks for %d Hz" % found
            )

    def bind(self, index: int) -> Callable[[], Any]:
        """The inference of one input, read and prepared."""
        if self.pack is None:
            clip, name = self._generated, "input"
        else:
            clip, name = guard(protocol.PREPARATION, "pack", self.pack.read, index), self.pack.ids[index]
            steps, rate_hz = self._steps, self._rate_hz
            clip = guard(protocol.PREPARATION, name, waveform.prepare, clip, steps, rate_hz)
        infer: Callable[[], Any] = guard(protocol.MODEL_LOAD, name, self.model.bind, clip)
        return infer
