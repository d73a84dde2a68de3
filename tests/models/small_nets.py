"""Small nets with every kind of site that the packed schemes know, as ONNX graphs of random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes and weights of a net that reads ``waveform`` (batch, samples)."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(seed)

    def stored(self, array: Any) -> str:
        name = f"t{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        return self.stored((scale * self.rng.standard_normal(shape)).astype(np.float32))

    def ints(self, *values: int) -> str:
        return self.stored(np.array(values, np.int64))

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        output = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def model(self, *outputs: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", "samples"])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", None]) for name in outputs],
            self.tensors,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        return model


def spectrum(g: Graph) -> str:
    """A front end: (batch, 1, frames, 8) logarithms of powers of random filters of the waveform."""
    x = g.add("Unsqueeze", "waveform", g.ints(1))
    x = g.add("Conv", x, g.weight(8, 1, 16), strides=[8])
    power = g.add("MatMul", g.add("Transpose", g.add("Mul", x, x), perm=[0, 2, 1]), g.stored(_filters()))
    return g.add("Unsqueeze", g.add("Log", g.add("Add", power, g.stored(np.float32(1e-3)))), g.ints(1))


def _filters() -> np.ndarray:
    return np.abs(np.random.default_rng(1).standard_normal((8, 8))).astype(np.float32)


def speech_net(*, padded: bool = False) -> onnx.ModelProto:
    """Front end, three convolutions and a pool, attention pooling over time by two products, a head.

    With ``padded``, the convolutions have channels that hold zeros alone, which a Slice takes away.
    """
    g = Graph()
    more = 2 if padded else 0

    def kernel(outputs: int, inputs: int, *space: int, last: bool = False) -> str:
        weight = (g.rng.standard_normal((outputs, inputs, *space)) / np.sqrt(9 * inputs)).astype(np.float32)
        return g.stored(np.pad(weight, [(0, more), (0, 0 if inputs == 1 else more), *[(0, 0)] * len(space)]))

    def bias(outputs: int) -> str:
        return g.stored(np.pad(0.1 * g.rng.standard_normal(outputs), (0, more)).astype(np.float32))

    x = spectrum(g)
    for inputs, outputs in ((1, 6), (6, 6)):
        x = g.add("Relu", g.add("Conv", x, kernel(outputs, inputs, 3, 3), bias(outputs), pads=[1] * 4))
    x = g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = g.add("Conv", x, kernel(6, 6, 1, 1), bias(6))
    if padded:
        x = g.add("Slice", x, g.ints(0), g.ints(6), g.ints(1))
    x = g.add("Reshape", g.add("Transpose", x, perm=[0, 2, 1, 3]), g.ints(0, -1, 24))
    weights = g.add("Softmax", g.add("MatMul", x, g.weight(24, 20)), axis=1)
    values = g.add("Add", g.add("MatMul", x, g.weight(24, 20)), g.weight(20))
    pooled = g.add("ReduceSum", g.add("Mul", weights, values), g.ints(1), keepdims=0)
    g.add("Gemm", pooled, g.weight(4, 20), g.weight(4), transB=1, name="emotion_logits")
    return g.model("emotion_logits")


def waveforms(count: int, seed: int = 0, samples: int = 1600) -> list[np.ndarray]:
    """Sounds of different lengths and levels."""
    rng = np.random.default_rng(seed)
    return [
        (rng.uniform(0.05, 1.0) * rng.standard_normal(samples + 160 * n)).astype(np.float32)
        for n in range(count)
    ]
