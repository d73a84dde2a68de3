"""Int8 by neural-compressor 2.x, which reads ONNX itself; what must stay float stays so by ``float_parts``.

Its own choice of operators takes in the front end and the softmax, which these nets do not survive. The
version before 3 wants numpy below 2 and onnx 1.17, so it has an extra of its own for another environment.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebench.errors import ModelError
from edgebench.models.quantization.float_parts import ALL_PARTS, nodes_to_quantize
from edgebench.models.quantization.litert_convert import quiet
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import finished, inputs_of, source_model, spread, third_party

if TYPE_CHECKING:
    import onnx

ALGORITHMS = ("minmax", "kl", "percentile")
NEEDS = ("neural_compressor.adaptor",)  # version 3 has no such module
# It makes a product and a sum of a Gemm before it looks for what it was told by name.
_PARTS_OF_A_GEMM = ("_MatMul", "_Add")
_FLOAT = {"weight": {"dtype": ["fp32"]}, "activation": {"dtype": ["fp32"]}}


def _static(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    clips = spread(waveforms, settings["observed_clips"])
    return _quantized(parent, clips, settings, approach="static", quant_format="QDQ")


def _dynamic(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    return _quantized(parent, (), settings, approach="dynamic")


def _quantized(parent: Path, clips: Sequence[Waveform], settings: Settings, **how: str) -> bytes:
    source = source_model(parent)
    chosen = set(nodes_to_quantize(source, settings))
    own = {"activation": {"algorithm": [settings["algorithm"]]}} if "algorithm" in settings else {}
    by_name = {
        name: own if node.name in chosen else _FLOAT
        for node in source.graph.node
        for name in (node.name, *(f"{node.name}{part}" for part in _PARTS_OF_A_GEMM))
    }
    with (
        third_party("neural-compressor"),
        quiet(),
        tempfile.TemporaryDirectory() as folder,
    ):
        from neural_compressor import PostTrainingQuantConfig, quantization, set_workspace  # noqa: PLC0415

        set_workspace(folder)
        made = quantization.fit(
            source,
            PostTrainingQuantConfig(op_name_dict=by_name, calibration_sampling_size=[len(clips) or 1], **how),
            calib_dataloader=_Clips(source, clips) if clips else None,
        )
        if made is None:
            raise ModelError("neural-compressor gives no file, and does not say why.")
        model: onnx.ModelProto = made.model
    return finished(model, source)


class _Clips:
    """Clips as its calibration reads them: inputs by name, and a label that is not used."""

    batch_size = 1

    def __init__(self, source: onnx.ModelProto, clips: Sequence[Waveform]) -> None:
        self._source, self._clips = source, clips

    def __iter__(self) -> Iterator[tuple[Mapping[str, Any], int]]:
        for clip in self._clips:
            yield inputs_of(self._source, clip), 0


_PARTS: dict[str, Any] = {"float_parts": ALL_PARTS, "float_nodes": ()}
_OPERATORS = ("Conv", "MatMul", "Gemm", "Relu", "MaxPool")

SCHEMES = (
    Scheme(
        name="nc2_static",
        summary="static int8 by neural-compressor 2.x; what must stay float by structure",
        quantize=_static,
        settings=settings(operators=_OPERATORS, **_PARTS, algorithm="minmax", observed_clips=48),
        allowed={"operators": _OPERATORS, "float_parts": ALL_PARTS, "algorithm": ALGORITHMS},
        choices={"algorithm": ALGORITHMS},
        calibrated=True,
        needs=NEEDS,
        extra="nc2",
    ),
    Scheme(
        name="nc2_dynamic",
        summary="int8 by neural-compressor 2.x, ranges of activations found at every inference",
        quantize=_dynamic,
        settings=settings(operators=("Conv", "MatMul", "Gemm"), **_PARTS),
        allowed={"operators": _OPERATORS, "float_parts": ALL_PARTS},
        calibrated=False,
        needs=NEEDS,
        extra="nc2",
    ),
)
