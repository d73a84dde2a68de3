"""Static int8 with the scales that neural-compressor 3.x finds, by one algorithm or by its tuning.

``nc_auto`` lets its tuning try several and keep the first whose loss is small enough. The accuracy that it
sees is that of the file which its scales give here: one minus the share of the answers' power that differs
from the float net's, so that a loss of 1e-4 is 40 dB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebench.models.graph.parity import outputs
from edgebench.models.quantization.float_parts import Graph, nodes_to_quantize
from edgebench.models.quantization.nc_ranges import (
    NEEDS,
    Quantizer,
    Ranges,
    observed,
    overrides_for,
    ranges_in,
    weights_before,
)
from edgebench.models.quantization.ort_static import ALLOWED, PADDED, STATIC
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import finished, source_model, spread
from edgebench.models.quantization.static_qdq import quantized_by_ranges, rewritten_source
from edgebench.models.rewrites.base import NEEDS as REWRITES_NEED

ALGORITHMS = ("minmax", "kl")


def _static(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    net = _Net(parent, waveforms, settings)
    return net.quantized(observed(parent, net.observed, _by_one(settings["algorithm"])))


def _auto(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    net = _Net(parent, waveforms, settings)
    tuning = _by_tuning(settings["algorithms"], settings["tolerable_loss"], net.accuracy)
    return net.quantized(observed(parent, net.observed, tuning))


class _Net:
    """The parent's graph, what is quantized of it, and the clips that neural-compressor sees."""

    def __init__(self, parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> None:
        self._parent, self._waveforms, self._settings = parent, waveforms, settings
        self._source = rewritten_source(parent, settings)
        self._weights = weights_before(source_model(parent), self._source)
        self._chosen = nodes_to_quantize(self._source, settings)
        self.observed = spread(waveforms, settings["observed_clips"])

    def quantized(self, ranges: Mapping[str, Ranges]) -> bytes:
        """The file with these scales."""
        overrides = overrides_for(Graph(self._source), self._chosen, ranges, self._weights)
        made = quantized_by_ranges(
            self._source, self._waveforms, self._settings, self._chosen, overrides=overrides
        )
        return finished(made, self._source)

    def accuracy(self, converted: Any) -> float:
        """One minus the share of the answers' power that the file with a candidate's scales loses."""
        ranges = ranges_in(converted)
        if not ranges:
            return 1.0  # the float net, with which the tuning begins
        before, after = (outputs(model, self.observed) for model in (self._parent, self.quantized(ranges)))
        lost = power = 0.0
        for expected, found in zip(before, after, strict=True):
            for a, b in zip(expected, found, strict=True):
                lost += float(np.square(a - b).sum())
                power += float(np.square(a).sum())
        return 1.0 - lost / power


def _by_one(algorithm: str) -> Quantizer:
    def quantize(net: Any, clips: Sequence[Any]) -> Any:
        from neural_compressor.torch.export import export  # noqa: PLC0415
        from neural_compressor.torch.quantization import (  # noqa: PLC0415
            StaticQuantConfig,
            convert,
            prepare,
        )

        example = (clips[0],)
        prepared = prepare(
            export(net, example_inputs=example),
            StaticQuantConfig(act_algo=algorithm),
            example_inputs=example,
        )
        for clip in clips:
            prepared(clip)
        return convert(prepared)

    return quantize


def _by_tuning(
    algorithms: Sequence[str], tolerable_loss: float, accuracy: Callable[[Any], float]
) -> Quantizer:
    def quantize(net: Any, clips: Sequence[Any]) -> Any:
        from neural_compressor.torch.export import export  # noqa: PLC0415
        from neural_compressor.torch.quantization import (  # noqa: PLC0415
            StaticQuantConfig,
            TuningConfig,
            autotune,
        )

        def run(model: Any) -> None:
            for clip in clips:
                model(clip)

        example = (clips[0],)
        return autotune(
            export(net, example_inputs=example),
            tune_config=TuningConfig(
                config_set=[StaticQuantConfig(act_algo=name) for name in algorithms],
                tolerable_loss=tolerable_loss,
            ),
            eval_fn=accuracy,
            run_fn=run,
            example_inputs=example,
        )

    return quantize


_COMMON = {**STATIC, "observed_clips": 24, "passes": PADDED}
_ALLOWED = {**ALLOWED, "activations": ("uint8",), "weights": ("int8",), "calibrator": ("MinMax",)}

SCHEMES = (
    Scheme(
        name="nc_static",
        summary="static int8 with scales by neural-compressor 3.x",
        quantize=_static,
        settings=settings(**_COMMON, algorithm="kl"),
        allowed={**_ALLOWED, "algorithm": ALGORITHMS},
        choices={"algorithm": ALGORITHMS},
        calibrated=True,
        needs=(*NEEDS, *REWRITES_NEED),
        extra="train,nc,quantize",
        of_own_nets=True,
    ),
    Scheme(
        name="nc_auto",
        summary="static int8 with scales by the tuning of neural-compressor 3.x",
        quantize=_auto,
        settings=settings(**_COMMON, algorithms=ALGORITHMS, tolerable_loss=1e-4),
        allowed={**_ALLOWED, "algorithms": ALGORITHMS},
        calibrated=True,
        needs=(*NEEDS, *REWRITES_NEED),
        extra="train,nc,quantize",
        of_own_nets=True,
    ),
)
