"""ort_static, with what stays float found by measurement: one operator at a time, then greedily.

Each operator is put into 8 bits alone and what it adds to the error of the answers is measured on clips. The
worst stay float, one by one, until the net with all others in 8 bits keeps ``least_db`` (signal to noise of
its worst output). No rule about the structure of nets takes part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebench.errors import ModelError
from edgebench.models.quantization.float_parts import WEIGHTED, nodes_to_quantize
from edgebench.models.quantization.ort_static import ALLOWED, STATIC
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.sensitivity import Bench, float_nodes, value_of
from edgebench.models.quantization.source import finished, source_model, spread
from edgebench.models.quantization.static_qdq import quantized_by_ranges


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    source = source_model(parent)
    bench = Bench(
        parent,
        spread(waveforms, settings["measured_clips"]),
        calibration=waveforms,
        operators=tuple(settings["operators"]),
        float_outputs=settings["float_outputs"],
        signed_weights=settings["weights"] == "int8",
    )
    rows = [bench.row(names) for names in bench.groups()]
    kept = float_nodes(rows, settings["least_db"], measured=value_of(bench))
    weighted = {node.name for node in source.graph.node if node.op_type in WEIGHTED}
    if not (weighted & bench.candidates.keys()) - set(kept):
        best = max((row.signal_to_noise_db for row in rows if row.kind in WEIGHTED), default=0.0)
        raise ModelError(
            "with any product or convolution in 8 bits its answers keep less than "
            f"{settings['least_db']:g} dB (the best one alone: {best:.1f} dB). Ask for less: --set "
            "least_db=N."
        )
    chosen = nodes_to_quantize(source, settings, also_float=kept)
    return finished(quantized_by_ranges(source, waveforms, settings, chosen), source)


SCHEME = Scheme(
    name="ort_static_measured",
    summary="ort_static; what stays float is measured, one operator at a time, then greedily",
    quantize=_quantize,
    settings=settings(**{**STATIC, "float_parts": (), "least_db": 30.0, "measured_clips": 8}),
    allowed={**ALLOWED, "activations": ("uint8",)},
    choices={"least_db": (20.0, 25.0, 30.0, 35.0, 40.0)},
    calibrated=True,
)
