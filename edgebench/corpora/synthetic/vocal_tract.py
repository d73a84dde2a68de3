"""Source and filter of the synthetic corpus, in integers: the same samples on every machine.

Speech is made pitch period by pitch period. Each period is a `Cell`: a glottal pulse and breath
noise (the source), sent through a glottal low-pass and five formant resonators in cascade (the
filter; the resonator of Klatt, D. H. (1980): Software for a cascade/parallel formant synthesizer,
JASA 67(3), 971-995), and the responses are added where they overlap. All cells of a clip go through
the filter at once, so the only loop over time is some 500 steps long.

Why integers: exp, sin and the order of a sum differ between C libraries and vector units, and a
recursive filter makes a difference in the last bit grow, so that hashes of the samples would differ. Here
floats are only added, multiplied and divided one by one, which IEEE 754 fixes to the bit, to compute
coefficients; these are rounded to 2**-20 and everything after is int64. Found equal on x86-64 (AVX-512
and baseline) and aarch64 (Cortex-A76), with numpy 1.26 and 2.4.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ: Final = 16_000
FORMANTS: Final = 5

_PI: Final = 3.141592653589793
_FRACTION_BITS: Final = 20
_ONE: Final = 1 << _FRACTION_BITS
_RING: Final = 320  # samples (20 ms) for which a cell rings on after its period; what follows is below -50 dB

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Cell:
    """One pitch period, or one stretch of unvoiced noise.

    ``start`` is in samples and need not be whole; ``period`` is a whole number of samples.
    ``voice`` is the size of the glottal pulse and ``noise`` that of the noise, both up to about
    2**20. ``formants_hz`` and ``bandwidths_hz`` hold ``FORMANTS`` values, ``glottis_hz`` is where
    the source begins to fall by 12 dB an octave.
    """

    start: float
    period: int
    voice: int
    noise: int
    formants_hz: tuple[float, ...]
    bandwidths_hz: tuple[float, ...]
    glottis_hz: float


def render(cells: Sequence[Cell], *, samples: int, noise: Integers) -> Integers:
    """The sound pressure that the cells make: ``(samples,)``, of no fixed scale.

    ``noise`` is ``(samples,)`` white, within +-2**15; cells that overlap share its samples.
    """
    starts = [int(cell.start) for cell in cells]
    periods = np.array([cell.period for cell in cells], dtype=np.int64)
    steps = int(periods.max()) + _RING
    pulses = _pulses(cells, starts)
    breath = np.zeros((steps, len(cells)), dtype=np.int64)
    padded = np.concatenate([noise, np.zeros(steps, dtype=np.int64)])
    index = np.arange(int(periods.max()))[:, None]
    levels = np.array([cell.noise for cell in cells], dtype=np.int64)
    grains = padded[index + np.array(starts, dtype=np.int64)] * levels >> 15
    breath[: len(index)] = np.where(index < periods, grains, 0)

    responses = _respond(pulses, breath, *_coefficients(cells))
    flow = np.zeros(samples + steps + 1, dtype=np.int64)
    for start, response in zip(starts, responses, strict=True):
        flow[start : start + steps] += response
    # The pressure before the lips is the change of the flow.
    return (flow[1:] - flow[:-1])[:samples]


def _pulses(cells: Sequence[Cell], starts: Sequence[int]) -> Integers:
    """The glottal pulse of each cell over its first two samples, (2, cells): where a period does not
    begin on a sample, the pulse is shared between two, or the pitch of high voices would jump."""
    late = [int((cell.start - start) * cell.voice) for cell, start in zip(cells, starts, strict=True)]
    early = [cell.voice - share for cell, share in zip(cells, late, strict=True)]
    return np.array([early, late], dtype=np.int64)


def _respond(pulses: Integers, breath: Integers, gain: Integers, one: Integers, two: Integers) -> Integers:
    """Each cell's response, (cells, steps).

    y[n] = gain u[n] + one y[n-1] + two y[n-2] in every section. subtle: section k takes the output of
    section k - 1 one sample late, so that all sections of all cells are computed in one step; together this
    is a constant delay of five samples.
    """
    steps, count = breath.shape
    last = np.zeros((FORMANTS + 1, count), dtype=np.int64)
    before = np.zeros_like(last)
    heard, term = np.zeros_like(last), np.zeros_like(last)
    out = np.empty((steps, count), dtype=np.int64)
    for step in range(steps):
        heard[0] = pulses[step] if step < 2 else 0
        heard[1:] = last[:-1]
        heard[1] += breath[step]  # breath arises at the glottis but has no glottal tilt
        np.multiply(gain, heard, out=heard)
        heard += _ONE >> 1
        np.multiply(one, last, out=term)
        heard += term
        np.multiply(two, before, out=term)
        heard += term
        heard >>= _FRACTION_BITS
        before, last, heard = last, heard, before
        out[step] = last[-1]
    return np.ascontiguousarray(out.T)


def _coefficients(cells: Sequence[Cell]) -> tuple[Integers, Integers, Integers]:
    """Gain, first and second feedback of every section, each (1 + FORMANTS, cells), of scale 2**20."""
    centre = np.array([[0.0, *cell.formants_hz] for cell in cells]).T
    width = np.array([[2.0 * cell.glottis_hz, *cell.bandwidths_hz] for cell in cells]).T
    half = width * (_PI / SAMPLE_RATE_HZ / 2.0)
    radius = (1.0 - half) / (1.0 + half)  # exp(-pi B / fs) to within 1e-3 for what speech needs
    one = _rounded(2.0 * radius * _cosine(centre * (2.0 * _PI / SAMPLE_RATE_HZ)))
    two = -_rounded(radius * radius)
    return _ONE - one - two, one, two


def _cosine(angle: Floats) -> Floats:
    """Cosine for 0 to 3 radians by its series, one IEEE operation at a time."""
    square = angle * angle
    total = np.ones_like(angle)
    term = np.ones_like(angle)
    for even in itertools.islice(itertools.count(2, 2), 12):
        term = term * square / float(-even * (even - 1))
        total = total + term
    return total


def _rounded(values: Floats) -> Integers:
    return np.rint(values * float(_ONE)).astype(np.int64)
