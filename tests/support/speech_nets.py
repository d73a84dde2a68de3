"""A small net of somebody as a real ONNX file: what quantization meets, without a training."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def pooled_net(*, names: bool = True, constants: bool = False, length: int | None = None) -> onnx.ModelProto:
    """A small net of somebody: convolutions of 1 and 16 channels, two products pooled by a softmax, a head.

    ``names``: whether nodes have names. ``constants``: the weights of the products as Constant nodes, as
    some exporters write them. ``length``: samples of a fixed input, None for any.
    """
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    weights = {
        "first": weight(16, 1, 32),
        "second": weight(32, 16, 4),
        "bias": weight(32, 1).ravel(),
        "weigh": weight(32, 64),
        "value": weight(32, 64),
        "head": weight(4, 64),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "axis_1"], ["channel"]),
        helper.make_node("Conv", ["channel", "first"], ["maps"], strides=[16]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("Conv", ["positive", "second", "bias"], ["more"], strides=[4]),
        helper.make_node("Relu", ["more"], ["frames_last"]),
        helper.make_node("Transpose", ["frames_last"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["frames", "weigh"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=1),
        helper.make_node("MatMul", ["frames", "value"], ["values"]),
        helper.make_node("Mul", ["shares", "values"], ["weighed"]),
        helper.make_node("ReduceSum", ["weighed", "axis_1"], ["pooled"], keepdims=0),
        helper.make_node("Gemm", ["pooled", "head"], ["answer"], transB=1),
    ]
    stored = {name: numpy_helper.from_array(array, name) for name, array in weights.items()}
    if constants:
        moved = [stored.pop(name) for name in ("weigh", "value")]
        nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in moved] + nodes
    for number, node in enumerate(nodes if names else []):
        node.name = f"{node.op_type.lower()}_{number}"
    graph = helper.make_graph(
        nodes,
        "pooled",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", length or "samples"])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", 4])],
        [*stored.values(), numpy_helper.from_array(np.array([1], np.int64), "axis_1")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model
