"""How many levels each weight gets, by measurement: the fewest bytes that keep the answers clear of noise.

Each site's weights are rounded alone, at a few numbers of levels, and the net's answers on some clips tell
how much noise that adds; between those numbers the noise falls with the square of the levels. Noises of sites
are summed, as those of independent errors. From the fewest levels on, the site is raised that removes the
most noise for its bytes, until what is left is as quiet as was asked. GPTQ, which then makes the codes, does
better than the rounding here, and about equally so at every site.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.gptq import quantize_weight
from edgebench.models.quantization.pieces import session_of
from edgebench.models.quantization.scheme import Waveform
from edgebench.models.quantization.sites import Site
from edgebench.models.quantization.source import spread

if TYPE_CHECKING:
    import onnx

PROBES = (3, 15, 127)  # numbers of levels at which noise is measured
CLIPS = 8
_QUIET = 1e-12  # noise over signal, below which nothing is gained


@dataclass(frozen=True)
class SiteNoise:
    """The noise over signal of the worst output with one site alone rounded, at each of ``PROBES``."""

    elements: int
    at_probes: tuple[float, ...]

    def at(self, levels: int) -> float:
        """The noise at a number of levels, between probes along a line of logarithms."""
        steps = np.log([probe - 1 for probe in PROBES])
        noise = np.log(np.maximum(self.at_probes, _QUIET))
        step = math.log(levels - 1)
        if step > steps[-1]:
            return float(np.exp(noise[-1] - 2 * (step - steps[-1])))
        return float(np.exp(np.interp(step, steps, noise)))

    def bits(self, levels: int) -> float:
        """What the codes take in the file."""
        return self.elements * math.log2(levels)


def choose_levels(noises: Sequence[SiteNoise], least_db: float, allowed: Sequence[int]) -> list[int]:
    """A number of ``allowed`` levels for each site, with a summed noise ``least_db`` below the signal.

    Where even the most levels leave more noise, every site gets the most.
    """
    levels = sorted(allowed)
    chosen = [0] * len(noises)  # indices into levels
    limit = 10 ** (-least_db / 10)

    def total() -> float:
        return sum(site.at(levels[at]) for site, at in zip(noises, chosen, strict=True))

    def gain(number: int, more: int) -> float:
        site, now, then = noises[number], levels[chosen[number]], levels[more]
        return (site.at(now) - site.at(then)) / (site.bits(then) - site.bits(now))

    while total() > limit:
        steps = [
            (gain(number, more), number, more)
            for number, at in enumerate(chosen)
            for more in range(at + 1, len(levels))
        ]
        if not steps:
            break
        _, number, more = max(steps)
        chosen[number] = more
    # The last step may have gone further than was needed.
    for number in sorted(range(len(noises)), key=lambda number: -noises[number].elements):
        while chosen[number] > 0:
            chosen[number] -= 1
            if total() > limit:
                chosen[number] += 1
                break
    return [levels[at] for at in chosen]


def site_noises(
    model: onnx.ModelProto, sites: Sequence[Site], waveforms: Sequence[Waveform]
) -> list[SiteNoise]:
    """What rounding each site alone adds to the answers on some of the prepared ``waveforms`` (samples,).

    What was measured of a model and its clips is remembered.
    """
    clips = spread(waveforms, CLIPS)
    key = _key(model, clips)
    if key not in _REMEMBERED:
        _REMEMBERED.clear()  # one net at a time: a search asks about its own again and again
        _REMEMBERED[key] = _measured(model, sites, clips)
    return _REMEMBERED[key]


_REMEMBERED: dict[str, list[SiteNoise]] = {}


def _key(model: onnx.ModelProto, clips: Sequence[Waveform]) -> str:
    found = hashlib.sha256(model.SerializeToString(deterministic=True))
    for clip in clips:
        found.update(clip.tobytes())
    return found.hexdigest()


def _measured(model: onnx.ModelProto, sites: Sequence[Site], clips: Sequence[Waveform]) -> list[SiteNoise]:
    from onnx import numpy_helper  # noqa: PLC0415

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    exact = _answers(model, clips)
    noises = []
    for site in sites:
        stored = tensors[site.weight].SerializeToString()
        weight = numpy_helper.to_array(tensors[site.weight])
        found = []
        for levels in PROBES:
            rounded = numpy_helper.from_array(_rounded(site, weight, levels), site.weight)
            tensors[site.weight].CopyFrom(rounded)
            found.append(_noise(exact, _answers(model, clips)))
            tensors[site.weight].ParseFromString(stored)
        noises.append(SiteNoise(int(np.count_nonzero(weight)), tuple(found)))
    return noises


def _rounded(site: Site, weight: NDArray[Any], levels: int) -> NDArray[np.float32]:
    matrix = site.matrix(weight).astype(np.float64)
    found = quantize_weight(matrix, np.ones(len(matrix)), levels)
    return site.shaped(found.codes * found.scales, weight.shape).astype(np.float32)


def _answers(model: onnx.ModelProto, clips: Sequence[Waveform]) -> list[list[NDArray[Any]]]:
    session = session_of(model.SerializeToString())
    name = session.get_inputs()[0].name
    return [session.run(None, {name: clip[np.newaxis]}) for clip in clips]


def _noise(exact: list[list[NDArray[Any]]], found: list[list[NDArray[Any]]]) -> float:
    """Noise over signal of the worst output, over all clips."""
    worst = 0.0
    for before, after in zip(zip(*exact, strict=True), zip(*found, strict=True), strict=True):
        signal = sum(float(np.square(one, dtype=np.float64).sum()) for one in before)
        noise = sum(
            float(np.square(one - other, dtype=np.float64).sum())
            for one, other in zip(before, after, strict=True)
        )
        worst = max(worst, noise / signal if signal else 0.0)
    return worst
