"""Products with weights of 4 bits in blocks, decoded while they are multiplied: onnxruntime's MatMulNBits.

A block of a column shares one scale. The arithmetic of a block is int8 with ``accuracy_level`` 4, float with
0. The operator is onnxruntime's own, so no other runtime loads the file. A Gemm with a plain stored weight
is written as a MatMul and an Add first; everything but the products stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebench.models.quantization.float_parts import ALL_PARTS, nodes_to_quantize
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import CONTRIB, finished, source_model, third_party

if TYPE_CHECKING:
    import onnx


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    source = source_model(parent)
    gemms_to_matmuls(source, nodes_to_quantize(source, settings))
    chosen = nodes_to_quantize(source, {**settings, "operators": ("MatMul",)})
    with third_party("onnxruntime's quantizer of products"):
        from onnxruntime.quantization import matmul_nbits_quantizer as blocks  # noqa: PLC0415

        config = blocks.DefaultWeightOnlyQuantConfig(
            block_size=settings["block_size"],
            is_symmetric=settings["symmetric"],
            accuracy_level=settings["accuracy_level"],
            bits=settings["bits"],
            op_types_to_quantize=("MatMul",),
        )
        # It takes every MatMul that is not excluded; a list of nodes to include only adds to them.
        others = [node.name for node in source.graph.node if node.name not in chosen]
        quantizer = blocks.MatMulNBitsQuantizer(source, algo_config=config, nodes_to_exclude=others)
        quantizer.process()
    return finished(quantizer.model.model, source, domains=(CONTRIB,))


def gemms_to_matmuls(model: onnx.ModelProto, names: Sequence[str]) -> None:
    """Write the Gemm nodes of ``names`` as MatMul and Add, where no factor and no transposed input stand."""
    import onnx  # noqa: PLC0415

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        settings = {attribute.name: attribute for attribute in node.attribute}
        plain = node.op_type == "Gemm" and node.name in names and node.input[1] in stored
        if not plain or any(
            (key in ("alpha", "beta") and value.f != 1.0) or (key == "transA" and value.i)
            for key, value in settings.items()
        ):
            nodes.append(node)
            continue
        weight = onnx.numpy_helper.to_array(stored[node.input[1]])
        if "transB" in settings and settings["transB"].i:
            weight = np.ascontiguousarray(weight.T)
        name = f"{node.name}_weight"
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
        with_bias = len(node.input) > 2 and bool(node.input[2])
        product = f"{node.output[0]}_product" if with_bias else node.output[0]
        nodes.append(onnx.helper.make_node("MatMul", [node.input[0], name], [product], name=node.name))
        if with_bias:
            nodes.append(onnx.helper.make_node("Add", [product, node.input[2]], [node.output[0]]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    _drop_unused(model)


def _drop_unused(model: onnx.ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    used |= {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


SCHEME = Scheme(
    name="int4_matmul",
    summary="4-bit products in blocks by onnxruntime's own operator; convolutions stay float",
    quantize=_quantize,
    settings=settings(
        operators=("MatMul", "Gemm"),
        float_parts=ALL_PARTS,
        float_nodes=(),
        bits=4,
        block_size=32,
        symmetric=True,
        accuracy_level=4,
    ),
    allowed={
        "operators": ("MatMul", "Gemm"),
        "float_parts": ALL_PARTS,
        "bits": (4, 8),
        "block_size": (16, 32, 64, 128, 256),
        "accuracy_level": (0, 1, 4),
    },
    choices={"block_size": (32, 64, 128), "symmetric": (True, False), "accuracy_level": (0, 4)},
    calibrated=False,
    needs=("onnx_ir", "ml_dtypes"),
    extra="quantize",
)
