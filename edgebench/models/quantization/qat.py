"""Packed codes in 8-bit arithmetic (see ``packed_int8``) that were learnt from the float net's own answers.

Few levels cost accuracy that GPTQ cannot give back, because it asks each layer alone. Here all layers learn
together. No label is used: the clips are those of calibration, and validation clips choose the state that is
kept. See ``learning``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.errors import CorpusError, UsageError
from edgebench.models.quantization.borders import find_borders, integer_sites
from edgebench.models.quantization.coding import Coded, code_weights, store
from edgebench.models.quantization.learning import (
    Report,
    Schedule,
    examples,
    learnt,
    narrowest,
    straight_through,
)
from edgebench.models.quantization.packed_int8 import INT8_LEVELS, PASSES, packed_int8
from edgebench.models.quantization.ranges import value_ranges
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.sites import find_sites
from edgebench.models.quantization.source import spread
from edgebench.models.quantization.torch_graph import Change, TorchGraph
from edgebench.models.rewrites.base import NEEDS

if TYPE_CHECKING:
    import onnx
    from torch import Tensor

_GPTQ_CLIPS = 240  # more add nothing to the codes that the learning starts from
_LEAST = {"steps": 2, "batch": 1, "seed": 0}
_EVERY = 50  # steps between two looks at the validation clips


def qat(
    parent: Path,
    waveforms: Sequence[Waveform],
    settings: Settings,
    *,
    validation: Sequence[Waveform] = (),
) -> bytes:
    """``parent`` with learnt codes; ``waveforms`` (samples,) teach them, ``validation`` chooses among them.

    Raises UsageError for fewer steps or clips a step than learning needs, CorpusError without validation
    clips, ModelError for an operator without a gradient and as ``packed_int8`` does.
    """
    for name, least in _LEAST.items():
        if settings[name] < least:
            raise UsageError(f"{name}={settings[name]} was asked for: learning needs at least {least}.")
    if not validation:
        raise CorpusError(
            "learning keeps the state that answers clips of other speakers best, and no such clip was given. "
            "Give a corpus with its validation speakers, or a folder of more clips."
        )
    return packed_int8(parent, waveforms, settings, coder=partial(_learn, validation=validation))


def _learn(
    model: onnx.ModelProto,
    waveforms: Sequence[Waveform],
    settings: Settings,
    *,
    validation: Sequence[Waveform],
) -> list[Coded]:
    sites = find_sites(model)
    if not sites:
        return code_weights(model, waveforms, settings)  # which says why there is nothing to do
    first = narrowest(model, min(site.place for site in sites), waveforms[0])
    graph = TorchGraph(model, first)
    with _one_thread():
        training = examples(model, first, graph, waveforms)
        judges = examples(model, first, graph, validation)
        few = spread(waveforms, _GPTQ_CLIPS)
        coded = code_weights(model, few, settings)
        change = _rounding(model, coded, few, settings)
        schedule = Schedule(settings["steps"], settings["batch"], _EVERY, settings["seed"])
        with _bar() as report:
            found = learnt(graph, coded, training, judges, schedule, change=change, report=report)
    for code in found:
        store(model, code)
    return found


def _rounding(
    model: onnx.ModelProto, coded: Sequence[Coded], waveforms: Sequence[Waveform], settings: Settings
) -> Change:
    """What 8-bit arithmetic does to the values inside the net, with ranges as the codes stand now."""
    groups = find_borders(model, integer_sites(model, [code.site for code in coded])).groups
    fitted = value_ranges(model, groups, waveforms, settings["activation_range"])
    ranges: Mapping[str, tuple[np.float32, np.uint8]] = {
        name: found for group, found in zip(groups, fitted, strict=True) for name in group
    }

    def change(name: str, value: Tensor) -> Tensor:
        if name not in ranges:
            return value
        scale, zero = float(ranges[name][0]), int(ranges[name][1])
        return straight_through(value / scale, -zero, 1, 256) * scale

    return change


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of torch: sums in one order, so that a seed gives one file."""
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _bar() -> Iterator[Report]:
    """A progress bar on stderr, where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("learning", total=None)

        def report(step: int, steps: int, error: float) -> None:
            decibels = -10.0 * np.log10(max(error, 1e-12))
            progress.update(
                task, completed=step, total=steps, description=f"learning, validation {decibels:.1f} dB"
            )

        yield report


SCHEME = Scheme(
    name="qat",
    summary="convolutions of 15 levels, products of 2, learnt from the fp32 net's answers; int8 arithmetic",
    quantize=qat,
    settings=settings(
        convolution_levels=15,
        product_levels=2,
        first_levels=127,
        head_levels=255,
        arithmetic="int8",
        activations="uint8",
        activation_range="mse",
        steps=400,
        batch=6,
        seed=0,
        passes=PASSES,
    ),
    calibrated=True,
    judged=True,
    clips=480,
    needs=("torch", *NEEDS),
    extra="train,quantize",
    allowed={"arithmetic": ("int8",), "activations": ("uint8",)},
    choices={"convolution_levels": INT8_LEVELS, "product_levels": (2, *INT8_LEVELS)},
)
