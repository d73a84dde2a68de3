"""Operators that onnxruntime's quantizers write in its own domain, spelt as the standard ones they stand for.

Shape inference and the counting of multiply-accumulates know the standard operators alone. The graph that
comes out has the same shapes and the same sums; it is for counting, not for running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

_DOMAIN = "com.microsoft"
_PAIRS = ("QuantizeLinear", "DequantizeLinear")  # of 16 bits, before opset 21


def standard_spelling(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, or a copy in which MatMulNBits is a MatMul and pairs of 16 bits are the standard ones."""
    if not any(_known(node) for node in model.graph.node):
        return model
    import onnx  # noqa: PLC0415

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        if not _known(node):
            continue
        node.domain = ""
        if node.op_type == "MatMulNBits":
            _as_matmul(copy, node)
        else:  # an identity of shapes: the standard ones do not take 16 bits at every opset
            del node.input[1:]
            del node.attribute[:]
            node.op_type = "Identity"
    return copy


def _known(node: onnx.NodeProto) -> bool:
    return node.domain == _DOMAIN and node.op_type in ("MatMulNBits", *_PAIRS)


def _as_matmul(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """A product by a weight of (K, N) without content, as the operator's attributes say."""
    import onnx  # noqa: PLC0415

    sizes: dict[str, Any] = {attribute.name: attribute.i for attribute in node.attribute}
    name = f"{node.output[0]}_weight"
    shape = [int(sizes["K"]), int(sizes["N"])]
    model.graph.initializer.append(onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=shape))
    node.op_type = "MatMul"
    del node.input[1:]
    node.input.append(name)
    del node.attribute[:]
