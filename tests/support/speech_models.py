"""Small real ONNX models: strided convolution over the waveform, mean, linear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper


def small_model(
    path: Path, *, opset: int = 17, ir_version: int = 8, inputs: int = 1, samples: int | str = "samples"
) -> Path:
    """Write a model that takes ``waveform (batch, samples)`` and answers ``emotion_logits (batch, 4)``.

    With ``inputs=2`` a second input is added, which edgebench must refuse.
    """
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal((8, 1, 400)).astype("f4"), "kernel"),
        numpy_helper.from_array(rng.standard_normal((8, 4)).astype("f4"), "head"),
        numpy_helper.from_array(np.array([1], dtype="i8"), "axis"),
        numpy_helper.from_array(np.array([2], dtype="i8"), "time"),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["waveform", "axis"], ["channel"]),
        helper.make_node("Conv", ["channel", "kernel"], ["frames"], strides=[160]),
        helper.make_node("Relu", ["frames"], ["positive"]),
        helper.make_node("ReduceSum", ["positive", "time"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "head"], ["logits"]),
    ]
    graph_inputs = [helper.make_tensor_value_info("waveform", onnx.TensorProto.FLOAT, ["batch", samples])]
    last = "logits"
    if inputs == 2:
        graph_inputs.append(helper.make_tensor_value_info("gain", onnx.TensorProto.FLOAT, [1]))
        nodes.append(helper.make_node("Mul", ["logits", "gain"], ["scaled"]))
        last = "scaled"
    nodes.append(helper.make_node("Identity", [last], ["emotion_logits"]))
    outputs = [helper.make_tensor_value_info("emotion_logits", onnx.TensorProto.FLOAT, ["batch", 4])]
    graph = helper.make_graph(nodes, "small", graph_inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    path.write_bytes(model.SerializeToString())
    return path
