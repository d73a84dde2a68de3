"""Small real ONNX files for the tests of models: good ones, and broken in the ways that users meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def tiny_graph(
    *,
    shape: list[int | str] | None = None,
    kind: int = TensorProto.FLOAT,
    extra_input: bool = False,
    output: str = "emotion_logits",
) -> onnx.ModelProto:
    """``waveform`` -> four weighted means: Conv (4 kernels of 8, stride 4), then the mean over time."""
    shape = ["batch", "samples"] if shape is None else shape
    kernel = np.random.default_rng(0).standard_normal((4, 1, 8)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["waveform"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "rank_3"], ["channel"]),
        helper.make_node("Conv", ["channel", "kernel"], ["maps"], strides=[4], name="conv"),
        helper.make_node("ReduceMean", ["maps"], ["logits"], axes=[2], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("waveform", kind, shape)]
    last = "logits"
    if extra_input:
        inputs.append(helper.make_tensor_value_info("speaker", TensorProto.FLOAT, [1]))
        nodes.append(helper.make_node("Add", ["logits", "speaker"], ["moved"]))
        last = "moved"
    nodes.append(helper.make_node("Identity", [last], [output]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 4])],
        [
            numpy_helper.from_array(kernel, "kernel"),
            numpy_helper.from_array(np.array([1, 1, -1], dtype=np.int64), "rank_3"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def save(model: onnx.ModelProto, path: Path) -> Path:
    """Write the file and return its path."""
    path.write_bytes(model.SerializeToString())
    return path


def manifest_values(**changed: object) -> dict[str, object]:
    """Fields of a manifest that fits :func:`tiny_graph`."""
    values: dict[str, object] = {
        "manifest_version": 1,
        "key": "tiny.fp32",
        "sha256": None,
        "size_bytes": None,
        "format": "onnx",
        "opset": 17,
        "ir_version": 8,
        "sample_rate_hz": 16_000,
        "tasks": {
            "emotion_logits": {
                "kind": "categorical",
                "labels": ["anger", "happiness", "neutral", "sadness"],
            }
        },
        "preparation": [{"step": "pad", "min_s": 0.1}],
        "parameters": 32,
        "macs": None,
        "scheme": {"name": "fp32"},
        "licence": "CC0-1.0",
    }
    return values | changed


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
