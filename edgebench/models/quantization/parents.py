"""Which files can be quantized at all: what is refused of a parent before any scheme touches it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.errors import ModelError
from edgebench.models.artifact import Artifact
from edgebench.models.graph.parity import outputs
from edgebench.models.graph.tensors import constants, nodes
from edgebench.models.quantization.scheme import Waveform
from edgebench.models.quantization.table import SCHEMES

if TYPE_CHECKING:
    import onnx

# Operators whose presence says that a file is quantized, beside all that are called QLinear...
_QUANTIZED = {
    *("ConvInteger", "DequantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeLinear"),
    *("DynamicQuantizeMatMul", "MatMulBnb4", "MatMulInteger", "MatMulIntegerToFloat", "MatMulNBits"),
    *("QAttention", "QEmbedLayerNormalization", "QGemm", "QuantizeLinear"),
}
_RANDOM = {
    *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"),
    "RandomUniformLike",
}
_LEAST_WEIGHT = 64  # elements; a smaller tensor of bytes is a constant of the graph, not a weight


def refuse_parent(parent: Artifact) -> None:
    """Raise ModelError for a file that no scheme can start from, saying which one to give.

    Schemes read float ONNX files that take a whole waveform and were not quantized yet.
    """
    if parent.format != "onnx":
        raise ModelError(
            f"model {parent.path} is a .{parent.format} file, and schemes start from ONNX: they change its "
            "graph. Give the .onnx file that it was converted from."
        )
    if parent.streaming is not None:
        raise ModelError(
            f"model {parent.path} keeps a state between frames, and ranges of a state are not found from "
            "single clips. Schemes quantize models that take a whole waveform."
        )
    _refuse_quantized(parent)


def refuse_chance(path: Path, waveforms: Sequence[Waveform]) -> None:
    """Raise ModelError for a file whose answer to a waveform is another one the second time.

    Then no difference says what a scheme cost. ``waveforms`` (samples,) are prepared; the first is tried.
    Dropout in training mode is refused by its graph: onnxruntime's inference passes its input on, and other
    runtimes do not.
    """
    import onnx  # noqa: PLC0415

    model = onnx.load_model(path, load_external_data=False)
    advice = "Export it in evaluation mode, without dropout and sampling."
    if _trains_dropout(model):
        raise ModelError(
            f"model {path} depends on chance: it holds Dropout in training mode, which throws values away at "
            f"random where a runtime computes it. {advice}"
        )
    first, second = outputs(path, [waveforms[0]] * 2) if len(waveforms) else ([], [])
    largest = max(
        (float(np.abs(a - b).max(initial=0.0)) for a, b in zip(first, second, strict=True)), default=0.0
    )
    if not largest > 0.0:  # not a number is told by the comparison of files
        return
    named = sorted({node.op_type for node in nodes(model)} & _RANDOM)
    raise ModelError(
        f"model {path} depends on chance: two inferences of one clip differ by up to {largest:.3g}"
        f"{' (it holds ' + ', '.join(named) + ')' if named else ''}, so nothing can say what a scheme costs "
        f"it. {advice}"
    )


def _trains_dropout(model: onnx.ModelProto) -> bool:
    """Whether a Dropout has a stored training mode that is true."""
    import onnx  # noqa: PLC0415

    stored = {tensor.name: tensor for tensor in model.graph.initializer} | constants(model)
    modes = [node.input[2] for node in nodes(model) if node.op_type == "Dropout" and len(node.input) > 2]
    return any(bool(onnx.numpy_helper.to_array(stored[mode]).any()) for mode in modes if mode in stored)


def _refuse_quantized(parent: Artifact) -> None:
    manifest = parent.manifest
    name = str(manifest.scheme.get("name")) if manifest else ""
    found = sorted(kind for kind in parent.operators if kind in _QUANTIZED or kind.startswith("QLinear"))
    found = found or _stored_in_few_bits(parent.path)
    if not found and name in SCHEMES and not SCHEMES[name].exact:
        found = [f"what scheme {name!r} made"]
    if not found:
        return
    source = f" (sha256 {manifest.parent[:12]}...)" if manifest and manifest.parent else ""
    raise ModelError(
        f"model {parent.path} is quantized already: it holds {', '.join(found)}. Rounding twice adds both "
        f"errors; give the fp32 file that it was made from{source}."
    )


def _stored_in_few_bits(path: Path) -> list[str]:
    """What says that a file decodes its weights at load: large tensors of few bits that a Cast reads."""
    import onnx  # noqa: PLC0415

    model = onnx.load_model(path, load_external_data=False)
    few = {
        tensor.name: onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        for tensor in model.graph.initializer
        if tensor.data_type in _few_bits() and int(np.prod(tensor.dims)) >= _LEAST_WEIGHT
    }
    read = {name for node in model.graph.node if node.op_type == "Cast" for name in node.input}
    return sorted({f"weights of {kind}" for name, kind in few.items() if name in read})


def _few_bits() -> set[int]:
    import onnx  # noqa: PLC0415

    kinds = onnx.TensorProto
    return {kinds.INT8, kinds.UINT8, kinds.FLOAT16, kinds.BFLOAT16}
