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
