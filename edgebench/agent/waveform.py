"""What a model is fed: the generated input, and the preparation steps of an artifact.

numpy is imported inside the functions: the memory mark of the bare interpreter comes first.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any, Callable

    import numpy

    Waveform = numpy.ndarray[Any, numpy.dtype[numpy.float32]]


class PreparationError(ValueError):
    """A preparation step is unknown or lacks what it needs."""


def generate(samples: int, *, seed: int) -> Waveform:
    """White noise, float32 (samples,) in [-1, 1), the same bits on every machine.

    SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014)
    counted from ``seed``; the upper 24 bits of each word become one sample, which float32 holds
    exactly. ``numpy.random`` would do, and brings hashlib and OpenSSL into the measured process.
    """
    import numpy

    waveform = numpy.empty(samples, numpy.float32)
    block = 4096  # small on purpose: the temporaries must not show in the peak of the process
    for start in range(0, samples, block):
        word = numpy.arange(start + 1, min(start + block, samples) + 1, dtype=numpy.uint64)
        word *= numpy.uint64(0x9E3779B97F4A7C15)
        word += numpy.uint64(seed % 2**64)
        word ^= word >> numpy.uint64(30)
        word *= numpy.uint64(0xBF58476D1CE4E5B9)
        word ^= word >> numpy.uint64(27)
        word *= numpy.uint64(0x94D049BB133111EB)
        word ^= word >> numpy.uint64(31)
        word >>= numpy.uint64(40)
        waveform[start : start + block] = word
    waveform *= numpy.float32(2.0**-23)
    waveform -= numpy.float32(1.0)
    return waveform


def _pad(waveform: Waveform, rate_hz: int, *, min_s: float) -> Waveform:
    """Zeros at the end, up to ``min_s``."""
    import numpy

    missing = max(0, round(min_s * rate_hz) - len(waveform))
    return numpy.concatenate([waveform, numpy.zeros(missing, numpy.float32)])


def _crop(waveform: Waveform, rate_hz: int, *, max_s: float) -> Waveform:
    """The first ``max_s``."""
    return waveform[: round(max_s * rate_hz)]


def _peak(waveform: Waveform, rate_hz: int, *, level: float = 1.0) -> Waveform:
    """Scaled so that the largest magnitude is ``level``; silence stays silence."""
    import numpy

    largest = numpy.abs(waveform).max() if len(waveform) else 0.0
    return waveform * numpy.float32(level / largest) if largest > 0 else waveform


def _trim(waveform: Waveform, rate_hz: int, *, top_db: float) -> Waveform:
    """From the first to the last frame within ``top_db`` of the loudest, as ``librosa.effects.trim`` does."""
    import numpy

    squares = numpy.square(waveform, dtype=numpy.float64)
    middles = range(0, len(waveform) + 1, 512)  # of librosa's frames, each 2048 samples long
    power = numpy.array([squares[max(0, at - 1024) : at + 1024].sum() / 2048 for at in middles]).clip(1e-10)
    loud = numpy.flatnonzero(power > power.max() * 10 ** (-top_db / 10))
    return waveform[loud[0] * 512 : loud[-1] * 512 + 512]


def _fit(waveform: Waveform, rate_hz: int, *, lengths_s: list[float]) -> Waveform:
    """Repeated up to the next of ``lengths_s``, and cut to the longest: for models without a free length."""
    import numpy

    lengths = sorted(round(length_s * rate_hz) for length_s in lengths_s)
    chosen = next((length for length in lengths if length >= len(waveform)), lengths[-1])
    return numpy.resize(waveform, chosen)


def _pre_emphasis(waveform: Waveform, rate_hz: int, *, coefficient: float) -> Waveform:
    """The filter 1 - coefficient / z, from rest: each sample less its predecessor's share."""
    import numpy

    return waveform - numpy.float32(coefficient) * numpy.append(0 * waveform[:1], waveform[:-1])


# Step name -> function and the parameters it takes (True: must be given).
STEPS: dict[str, tuple[Callable[..., Waveform], dict[str, bool]]] = {
    "pad": (_pad, {"min_s": True}),
    "crop": (_crop, {"max_s": True}),
    "fit": (_fit, {"lengths_s": True}),
    "peak": (_peak, {"level": False}),
    "trim": (_trim, {"top_db": True}),
    "pre_emphasis": (_pre_emphasis, {"coefficient": True}),
}


def check(steps: list[dict[str, Any]]) -> None:
    """Refuse steps that this agent cannot do. Raises PreparationError."""
    for step in steps:
        name = step.get("step")
        if name not in STEPS:
            raise PreparationError(f"unknown preparation step {name!r}; known: {', '.join(sorted(STEPS))}")
        known = STEPS[name][1]
        given = {key for key in step if key != "step"}
        if not {key for key, required in known.items() if required} <= given <= set(known):
            raise PreparationError(f"preparation step {name!r} takes {sorted(known)}, not {sorted(given)}")


def prepare(waveform: Waveform, steps: list[dict[str, Any]], sample_rate_hz: int) -> Waveform:
    """Apply checked steps in order to a waveform (samples,); float32 in, float32 out."""
    for step in steps:
        settings = {key: value for key, value in step.items() if key != "step"}
        waveform = STEPS[step["step"]][0](waveform, sample_rate_hz, **settings)
    return waveform
