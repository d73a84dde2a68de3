"""Traces written by hand, and small graphs to go with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgebench.harness.explain.operators import Graph
from edgebench.harness.explain.side import Side
from edgebench.harness.explain.trace import Kernel, Trace

BYTES, FLOAT = "uint8", "float"


def event(name: str, kind: str, ts: float, dur: float, inputs: list[Any] | None = None) -> dict[str, Any]:
    """A kernel's event as onnxruntime writes it; times in microseconds."""
    args = {"op_name": kind, "input_type_shape": inputs or [], "output_type_shape": []}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "ph": "X", "args": args}


def inference(ts: float, dur: float) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "ph": "X", "args": {}}


def written(events: Any, path: Path) -> Path:
    path.write_text(json.dumps(events))
    return path


def kernel(
    node: int | str, kind: str, us: float, element: str = FLOAT, shape: tuple[int, ...] = (1,)
) -> Kernel:
    """A kernel of node number ``node`` (or of a name of the runtime's own) that reads ``element``."""
    name = node if isinstance(node, str) else f"@{node}@"
    return Kernel(name, kind, us * 1e3, ((element, shape),))


def model(
    nodes: Sequence[onnx.NodeProto],
    stored: dict[str, Any],
    *,
    outputs: Sequence[str],
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of ``waveform`` (1, samples)."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, "samples"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def side(key: str, made: onnx.ModelProto, kernels: Sequence[Kernel], *, samples: int = 64) -> Side:
    return Side(key, Graph.of(made, samples=samples), Trace(tuple(kernels), inferences=1))


def pair(name: str, target: str) -> list[onnx.NodeProto]:
    """QuantizeLinear and DequantizeLinear of a value, by the stored ``scale`` and ``zero``."""
    return [
        helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{target}.q"]),
        helper.make_node("DequantizeLinear", [f"{target}.q", "scale", "zero"], [target]),
    ]


def gelu(x: str, out: str) -> list[onnx.NodeProto]:
    """x (1 + erf(x / sqrt 2)) / 2 as TorchScript's exporter writes it; ``root``, ``one``, ``half`` stored."""
    node = helper.make_node
    return [
        node("Div", [x, "root"], [f"{out}.d"], name=f"{out}/Div"),
        node("Erf", [f"{out}.d"], [f"{out}.e"], name=f"{out}/Erf"),
        node("Add", [f"{out}.e", "one"], [f"{out}.a"], name=f"{out}/Add"),
        node("Mul", [x, f"{out}.a"], [f"{out}.m"], name=f"{out}/Mul"),
        node("Mul", [f"{out}.m", "half"], [out], name=f"{out}/Mul_1"),
    ]


GELU_CONSTANTS = {"root": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
PAIR_CONSTANTS = {"scale": np.float32(0.1), "zero": np.uint8(128)}
