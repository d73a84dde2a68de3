"""Products of 15 levels, stored in half bytes, in 8-bit arithmetic: for transformers, whose size is products.

GPTQ (see ``gptq``) chooses the 15 levels, and ``ort_static_dynamic`` quantizes what they stand for. Its
int8 weights then hold at most 15 numbers: the file stores which, two in a byte, and the numbers once.
onnxruntime decodes them when a session starts. A weight of more than 16 numbers keeps a byte each.
Large tables in float, such as those of positions, are stored as float16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.coding import Coded, code_weights
from edgebench.models.quantization.float_parts import PRODUCTS, nodes_to_quantize
from edgebench.models.quantization.int4_matmul import gemms_to_matmuls
from edgebench.models.quantization.ort_static import ALLOWED, STATIC
from edgebench.models.quantization.ort_static_dynamic import static_and_dynamic
from edgebench.models.quantization.packed import names_of
from edgebench.models.quantization.packing import Prologue
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import finished
from edgebench.models.quantization.static_qdq import rewritten_source

if TYPE_CHECKING:
    import onnx

_LEAST_ELEMENTS = 4096  # of a weight: the nodes that decode it take about 300 bytes
_MOST_NUMBERS = 16
_LEAST_FLOATS = 1024


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    source = rewritten_source(parent, settings)
    products = {node.name for node in source.graph.node if node.op_type in PRODUCTS}
    gemms_to_matmuls(source, [name for name in nodes_to_quantize(source, settings) if name in products])
    coded = code_weights(source, waveforms, settings)
    made = static_and_dynamic(source, waveforms, {**settings, "dynamic_weights": "int8"})
    _store_codes(made, coded)
    return finished(in_half_floats(in_half_bytes(made)), source)


def _store_codes(made: onnx.ModelProto, coded: Sequence[Coded]) -> None:
    """Write the codes of products, times a whole number, where the quantizer rounded what they stand for.

    It has a scale of its own for each column, from the largest weight, so that two columns whose largest
    codes differ would hold other numbers.
    """
    from onnx import numpy_helper  # noqa: PLC0415

    tensors = {tensor.name: tensor for tensor in made.graph.initializer}
    for code in coded:
        whole = tensors.get(f"{code.site.weight}_quantized")
        scale = tensors.get(f"{code.site.weight}_scale")
        if whole is None or scale is None or code.site.kind != "product" or any(code.missing):
            continue
        if tuple(scale.dims) != code.scales.shape or code.site.axis != 1:
            continue  # one scale for all columns
        factor = 127 // code.grid.highest
        whole.CopyFrom(numpy_helper.from_array((code.codes * np.int8(factor)).astype(np.int8), whole.name))
        scale.CopyFrom(numpy_helper.from_array((code.scales / factor).astype(np.float32), scale.name))


def in_half_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model whose large int8 tensors of at most 16 different numbers stand in half bytes."""
    import onnx  # noqa: PLC0415

    def decode(prologue: Prologue, name: str, array: NDArray[Any]) -> bool:
        numbers = np.unique(array) if array.dtype == np.int8 and array.size >= _LEAST_ELEMENTS else None
        if numbers is None or len(numbers) > _MOST_NUMBERS:
            return False
        places = np.searchsorted(numbers, array.ravel()).astype(np.uint8)
        half = -(-places.size // 2)
        high = np.pad(places[half:], (0, 2 * half - places.size))
        stored = prologue.constant(places[:half] | (high << 4))
        parts = [
            prologue.node("Mod", stored, np.uint8(16)),
            prologue.node("BitShift", stored, np.uint8(4), direction="RIGHT"),
        ]
        joined = prologue.node("Cast", prologue.node("Concat", *parts, axis=0), to=onnx.TensorProto.INT32)
        if places.size < 2 * half:
            bounds = (np.array([0], np.int64), np.array([places.size], np.int64))
            joined = prologue.node("Slice", joined, *bounds)
        flat = prologue.node("Gather", prologue.constant(numbers), joined)
        prologue.node("Reshape", flat, np.array(array.shape, np.int64), outputs=[name])
        return True

    return _decoded_at_load(model, decode)


def in_half_floats(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model whose large float tensors, such as tables of positions, stand as float16.

    What float16 would change by more than a thousandth of the largest number stays, and so do scales.
    """
    import onnx  # noqa: PLC0415

    scales = {
        name
        for node in model.graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in node.input
    }

    def decode(prologue: Prologue, name: str, array: NDArray[Any]) -> bool:
        if array.dtype != np.float32 or array.size < _LEAST_FLOATS or name in scales:
            return False
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if np.abs(half - array).max() > 1e-3 * np.abs(array).max():
            return False
        prologue.node("Cast", prologue.constant(half), outputs=[name], to=onnx.TensorProto.FLOAT)
        return True

    return _decoded_at_load(model, decode)


def _decoded_at_load(
    model: onnx.ModelProto, decode: Callable[[Prologue, str, NDArray[Any]], bool]
) -> onnx.ModelProto:
    """A copy of the model in which nodes make the tensors that ``decode`` took; it says whether it did."""
    import onnx  # noqa: PLC0415

    made = onnx.ModelProto()
    made.CopyFrom(model)
    prologue = Prologue(names_of(model))
    kept = [
        tensor
        for tensor in model.graph.initializer
        if not decode(prologue, tensor.name, onnx.numpy_helper.to_array(tensor))
    ]
    del made.graph.node[:], made.graph.initializer[:]
    made.graph.node.extend([*prologue.nodes, *model.graph.node])
    made.graph.initializer.extend([*kept, *prologue.tensors])
    return made


SCHEME = Scheme(
    name="int4_dynamic",
    summary="ort_static_dynamic with products of 15 levels by GPTQ, stored in half bytes",
    quantize=_quantize,
    settings=settings(
        **{
            **STATIC,
            "passes": (),
            "convolution_levels": 255,
            "product_levels": 15,
            "first_levels": 255,
            "head_levels": 255,
        }
    ),
    allowed=ALLOWED,
    choices={"product_levels": (7, 11, 15)},
    calibrated=True,
)
