"""Which passes pay on this machine: each is measured with and without, in turns, on the same waveforms.

A pass may help one processor and cost another, and one pass may pay only where another one came first. So all
candidates are applied, and each is then left out in turn; what the model does not miss stays out.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.models.host import HostModel
from edgebench.models.rewrites.table import rewrite, with_pass

if TYPE_CHECKING:
    import onnx

Waveform = NDArray[np.float32]
# Compares two files: for each round the time of the first over the time of the second.
Measure = Callable[[bytes, bytes, Sequence[Waveform]], NDArray[np.float64]]

CANDIDATES = with_pass("pad_channels:16", with_pass("pad_pooled:16"))
ROUNDS = 15
_BURST = 3  # calls that give one time, their median
_RESAMPLES = 2000


@dataclass(frozen=True)
class Payment:
    """What a pass brings beside the others that are kept.

    ``ratio`` is the time with it over the time without it, the median over rounds, with a 95 % bootstrap
    interval ``low`` to ``high``; ``bytes_saved`` is the size without it less the size with it. A pass that
    found no place has no ratio.
    """

    name: str
    ratio: float | None
    low: float | None
    high: float | None
    bytes_saved: int

    @property
    def kept(self) -> bool:
        """Whether it makes the model faster; or smaller, and is not seen to make it slower."""
        if self.high is None or self.low is None:
            return False
        return self.high < 1.0 or (self.bytes_saved > 0 and self.low <= 1.0)


def passes_that_pay(
    model_path: Path,
    waveforms: Sequence[Waveform],
    *,
    candidates: Sequence[str] = CANDIDATES,
    rounds: int = ROUNDS,
    measure: Measure | None = None,
) -> list[Payment]:
    """A verdict on each of ``candidates``, in their order, for a float model.

    The waveforms (samples,) are prepared. Times are CPU time of this process, on one thread of the runtime
    that boards use. Raises as :func:`rewrite` does, and ModelError where the runtime refuses the model.
    """
    import onnx  # noqa: PLC0415

    model = onnx.load_model(model_path)
    compare = measure or functools.partial(time_ratios, rounds=rounds)
    places = rewrite(model, candidates).places
    chosen = [name for name in candidates if places[name]]
    verdicts: dict[str, Payment] = {}
    for name in chosen[::-1]:  # a broad pass stands behind a narrow one, and is asked first
        without = [other for other in chosen if other != name]
        pair = _bytes(model, chosen), _bytes(model, without)
        verdicts[name] = _verdict(name, compare(*pair, waveforms), len(pair[1]) - len(pair[0]))
        if not verdicts[name].kept:
            chosen = without
    return [verdicts.get(name, Payment(name, None, None, None, 0)) for name in candidates]


def time_ratios(
    one: bytes, other: bytes, waveforms: Sequence[Waveform], *, rounds: int = ROUNDS
) -> NDArray[np.float64]:
    """CPU time of ``one`` over that of ``other``, for each of ``rounds`` rounds.

    Both are loaded anew in every round: where a runtime happens to lay its memory changes its speed by more
    than most passes do. The order is turned around from round to round.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.onnx" for name in ("one", "other")]
        for path, data in zip(paths, (one, other), strict=True):
            path.write_bytes(data)
        ratios = []
        for number in range(rounds):
            order = paths if number % 2 == 0 else paths[::-1]
            models = {path: HostModel(path) for path in order}
            total = dict.fromkeys(paths, 0.0)
            for waveform in waveforms:
                for path in order:
                    models[path](waveform)
                for path in order:
                    total[path] += _time(models[path], waveform)
            ratios.append(total[paths[0]] / total[paths[1]])
    return np.array(ratios)


def _time(model: HostModel, waveform: Waveform) -> float:
    times = []
    for _ in range(_BURST):
        start = time.process_time_ns()
        model(waveform)
        times.append(time.process_time_ns() - start)
    return float(np.median(times))


def _verdict(name: str, ratios: NDArray[np.float64], bytes_saved: int) -> Payment:
    rng = np.random.default_rng(0)
    drawn = rng.choice(ratios, (_RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return Payment(name, float(np.median(ratios)), float(low), float(high), bytes_saved)


def _bytes(model: onnx.ModelProto, passes: Sequence[str]) -> bytes:
    data: bytes = rewrite(model, passes).model.SerializeToString(deterministic=True)
    return data
