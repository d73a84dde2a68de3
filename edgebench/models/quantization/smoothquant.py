"""Static int8 after an exact rescaling that moves outliers of activations into the weights.

The rescaling is in ``smoothing``; what is quantized and how is that of ``ort_static``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebench.models.quantization.float_parts import nodes_to_quantize
from edgebench.models.quantization.ort_static import ALLOWED, STATIC
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.smoothing import smooth
from edgebench.models.quantization.source import finished
from edgebench.models.quantization.static_qdq import quantized_by_ranges, rewritten_source


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    source = rewritten_source(parent, settings)
    chosen = nodes_to_quantize(source, settings)
    smooth(source, waveforms, chosen, alpha=settings["alpha"])
    return finished(quantized_by_ranges(source, waveforms, settings, chosen), source)


SCHEME = Scheme(
    name="smoothquant",
    summary="ort_static after an exact rescaling that moves outliers of activations into the weights",
    quantize=_quantize,
    settings=settings(**{**STATIC, "passes": (), "alpha": 0.5}),
    allowed={**ALLOWED, "activations": ("uint8", "int8")},
    choices={"alpha": (0.3, 0.5, 0.7), "per_channel": (True, False)},
    calibrated=True,
)
