"""Codes for every weight of a net, from its input to its outputs, each seeing the codes before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.quantization.gptq import Grid, grid, quantize_weight
from edgebench.models.quantization.gradients import differentiable, gradient
from edgebench.models.quantization.level_choice import choose_levels, site_noises
from edgebench.models.quantization.moments import Moment, input_moments
from edgebench.models.quantization.packing import LEVELS
from edgebench.models.quantization.pieces import Pieces, run
from edgebench.models.quantization.scheme import Settings, Waveform
from edgebench.models.quantization.sites import Site, find_sites

if TYPE_CHECKING:
    import onnx

# How much of the plain moment is added to one that is made of gradients, of which there are few.
_RIDGE = 0.05
_TOGETHER = 64  # sensitivities that are multiplied at once
# Moments of all outputs together with more elements than this (128 MiB) are not made.
_MOST_AWARE = 2**24
# A net with more outputs than this is asked about random sums of them.
_MOST_SEEDS = 4


@dataclass(frozen=True)
class Coded:
    """The codes of a site's weight.

    ``codes`` has the weight's axes without the zeros at the ends of ``shape``, which padding of channels
    adds; ``scales`` (outputs,) belong to ``site.axis`` of the codes. ``bias`` is the one to use, if the site
    has one.
    """

    site: Site
    grid: Grid
    codes: NDArray[np.int8]
    scales: NDArray[np.float64]
    shape: tuple[int, ...]
    bias: NDArray[np.float32] | None

    @property
    def column(self) -> list[int]:
        """The shape in which the scales multiply the codes."""
        return [-1 if at == self.site.axis else 1 for at in range(self.codes.ndim)]

    @property
    def missing(self) -> list[int]:
        """The zeros at the ends of the axes, as the operator Pad takes them."""
        return [0] * self.codes.ndim + [
            whole - kept for whole, kept in zip(self.shape, self.codes.shape, strict=True)
        ]

    def weight(self) -> NDArray[np.float32]:
        """What the codes stand for, in the shape of the weight."""
        kept = self.codes * self.scales.astype(np.float32).reshape(self.column)
        behind = self.missing[self.codes.ndim :]
        return np.pad(kept.astype(np.float32), [(0, more) for more in behind])


Coder = Callable[["onnx.ModelProto", Sequence[Waveform], Settings], list[Coded]]
"""Finds the codes of all sites of a model, whose stored tensors get what the codes stand for."""


def code_weights(model: onnx.ModelProto, waveforms: Sequence[Waveform], settings: Settings) -> list[Coded]:
    """Quantize the weights of all sites of ``model``, whose stored tensors get what the codes stand for.

    ``settings``: the levels of ``convolution_levels`` and ``product_levels``, and of ``first_levels`` and
    ``head_levels`` where a site is the first or a last one; or ``least_db`` and ``most_levels``, by which
    they are chosen (see ``level_choice``). Raises ModelError for a net without a site.
    """
    sites = find_sites(model)
    if not sites:
        raise ModelError(
            "the net has no convolution or product with stored weights behind its front end, so there is "
            "nothing to pack."
        )
    pieces = Pieces(model, waveforms)
    if "least_db" in settings:
        allowed = [levels for levels in LEVELS if levels <= settings["most_levels"]]
        chosen = choose_levels(site_noises(model, sites, waveforms), settings["least_db"], allowed)
    else:
        chosen = [_levels_of_kind(site, settings) for site in sites]
    coded = []
    for site, levels in zip(sites, chosen, strict=True):
        pieces.advance(site.place)
        coded.append(_code(model, site, pieces, levels))
    return coded


def _levels_of_kind(site: Site, settings: Settings) -> int:
    if site.head:
        return int(settings["head_levels"])
    if site.first:
        return int(settings["first_levels"])
    return int(settings["convolution_levels" if site.kind == "convolution" else "product_levels"])


def _code(model: onnx.ModelProto, site: Site, pieces: Pieces, levels: int) -> Coded:
    from onnx import numpy_helper  # noqa: PLC0415

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    node = model.graph.node[site.place]
    weight = numpy_helper.to_array(tensors[site.weight])
    sources = (clip[site.source] for clip in pieces.values())
    plain = input_moments(site, node, weight.shape, sources, clips=len(pieces), seed=site.place)
    aware = output_moment(model, site, pieces, plain[0]) if site.kind == "product" else None
    kept = weight[_without_zero_ends(weight, site)]
    matrix = site.matrix(kept).astype(np.float64)
    inputs, outputs = matrix.shape
    codes, scales, corrections = [], [], []
    per_group = outputs // site.groups
    for group, moment in enumerate([aware] if aware else plain):
        part = matrix[:, group * per_group : (group + 1) * per_group]
        second = moment.second[..., :inputs]
        second = second if second.ndim == 1 else second[..., :inputs, :]
        second = second[:outputs] if second.ndim == 3 else second
        found = quantize_weight(part, second, levels)
        codes.append(found.codes)
        scales.append(found.scales)
        change = part - found.codes * found.scales
        corrections.append(
            change.T @ moment.mean[:inputs] if moment.mean is not None else np.zeros(per_group)
        )
    bias = None
    if site.bias is not None:
        bias = numpy_helper.to_array(tensors[site.bias]).astype(np.float64).copy()
        bias[:outputs] += np.concatenate(corrections)
        bias = as_stored(bias)
    coded = Coded(
        site=site,
        grid=grid(levels),
        codes=site.shaped(np.concatenate(codes, axis=1), kept.shape),
        scales=np.concatenate(scales),
        shape=weight.shape,
        bias=bias,
    )
    store(model, coded)
    return coded


def store(model: onnx.ModelProto, coded: Coded) -> None:
    """Give the stored tensors of a site what its codes and bias stand for."""
    from onnx import numpy_helper  # noqa: PLC0415

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    site = coded.site
    tensors[site.weight].CopyFrom(numpy_helper.from_array(coded.weight(), site.weight))
    if coded.bias is not None and site.bias is not None:
        tensors[site.bias].CopyFrom(numpy_helper.from_array(coded.bias, site.bias))


def _without_zero_ends(weight: NDArray[Any], site: Site) -> tuple[slice, ...]:
    """What is left of the first two axes without the channels at their ends that hold zeros alone."""
    if site.groups > 1 or site.kind == "rows":
        return (slice(None),) * weight.ndim
    found = []
    for axis in range(2):
        others = tuple(at for at in range(weight.ndim) if at != axis)
        used = np.flatnonzero(np.abs(weight).max(axis=others))
        found.append(slice(0, int(used[-1]) + 1 if used.size else 1))
    return (*found, *(slice(None),) * (weight.ndim - 2))


def as_stored(bias: NDArray[np.float64]) -> NDArray[np.float32]:
    """Biases as float16 holds them, or float32 where that would lose more than a thousandth."""
    with np.errstate(over="ignore"):
        half = bias.astype(np.float16).astype(np.float32)
    fits = np.abs(half - bias).max(initial=0.0) <= 1e-3 * np.abs(bias).max(initial=0.0)
    return half if fits else bias.astype(np.float32)


def output_moment(model: onnx.ModelProto, site: Site, pieces: Pieces, plain: Moment) -> Moment | None:
    """The second moments, one for each output of the site, of how the net's answers move with its weights.

    A net that averages over time with weights of its own cares for a frame as much as it weighs it; this
    moment knows, the plain one does not. None for a head, for a large site, and where the way to the outputs
    has an operator without a rule.
    """
    nodes = model.graph.node
    node, behind = nodes[site.place], nodes[site.place + 1 :]
    target = node.output[0]
    shape = next(tuple(t.dims) for t in model.graph.initializer if t.name == site.weight)
    inputs, outputs = shape if site.axis == 1 else shape[::-1]
    affordable = outputs * inputs * inputs <= _MOST_AWARE and plain.second.ndim == 2
    if site.head or not affordable or not differentiable(behind, target):
        return None
    total = np.zeros((outputs, inputs, inputs))
    read: list[NDArray[np.float64]] = []
    session, made = pieces.rest()
    from onnx import numpy_helper  # noqa: PLC0415

    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    answers = [value.name for value in model.graph.output]
    for number, clip in enumerate(pieces.values()):
        values: dict[str, Any] = {**stored, **clip, **run(session, made, clip)}
        source = np.swapaxes(values[site.source], -1, -2) if site.left else values[site.source]
        for seed in _seeds({name: values[name] for name in answers}, number):
            moved = gradient(behind, values, target, seed)
            moved = np.swapaxes(moved, -1, -2) if site.left else moved
            read.append(moved.reshape(-1, outputs).T @ source.reshape(-1, inputs).astype(np.float64))
        if len(read) >= _TOGETHER or number == len(pieces) - 1:
            rows = np.stack(read, axis=1)  # (outputs, clips and seeds, inputs)
            total += np.matmul(np.swapaxes(rows, 1, 2), rows)
            read = []
    size = np.trace(total, axis1=1, axis2=2) / np.trace(plain.second)
    least = size.max() * 1e-9 + np.finfo(np.float64).tiny  # an output that nothing reads
    return Moment(total + np.maximum(_RIDGE * size, least)[:, None, None] * plain.second, None)


def _seeds(answers: dict[str, NDArray[Any]], number: int) -> Iterator[dict[str, NDArray[np.float64]]]:
    """Weights of the net's outputs: each output alone, or random sums of many."""
    elements = sum(value.size for value in answers.values())
    rng = np.random.default_rng(number)
    for at in range(min(elements, _MOST_SEEDS)):
        flat = np.eye(1, elements, at)[0] if elements <= _MOST_SEEDS else rng.choice([-1.0, 1.0], elements)
        parts = np.split(flat, np.cumsum([value.size for value in answers.values()])[:-1])
        yield {
            name: part.reshape(value.shape)
            for (name, value), part in zip(answers.items(), parts, strict=True)
        }
