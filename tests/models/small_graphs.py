"""Small ONNX graphs written as text, what they answer to random numbers, and what a rewrite makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from edgebench.models.rewrites import rewrite

RNG = np.random.default_rng(1)
SIZES = {"N": 2, "T": 7}


def graph(text: str, *, opset: int = 17, **tensors: np.ndarray) -> onnx.ModelProto:
    """A checked model: ``text`` in ONNX's own notation, from the inputs on, with stored ``tensors``."""
    ir_version = 8 if opset < 20 else 9
    model = onnx.parser.parse_model(f'<ir_version: {ir_version}, opset_import: ["": {opset}]> g {text}')
    for name, array in tensors.items():
        kind = np.float32 if array.dtype == np.float64 else array.dtype
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array, kind), name))
    onnx.checker.check_model(model, full_check=True)
    return model


def answers(model: onnx.ModelProto, *, seed: int = 0) -> list[np.ndarray]:
    """What a model makes of normal random numbers, where free sizes are those of ``SIZES``."""
    rng = np.random.default_rng(seed)
    feeds = {}
    stored = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in stored:
            dims = value.type.tensor_type.shape.dim
            shape = [SIZES[dim.dim_param] if dim.dim_param else dim.dim_value for dim in dims]
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def operators(model: onnx.ModelProto) -> list[str]:
    """The operators in the order of the file."""
    return [node.op_type for node in model.graph.node]


def stored(model: onnx.ModelProto) -> list[tuple[int, ...]]:
    """The shapes of what a file stores, sorted."""
    return sorted(tuple(tensor.dims) for tensor in model.graph.initializer)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def vector(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def axes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


@dataclass(frozen=True)
class Case:
    """A graph, and the operators that a pass should leave of it; None where it must not touch it."""

    what: str
    name: str
    text: str
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    left: str | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


def applies(case: Case) -> None:
    """Assert that the pass changes the graph as the case says, and the answers not at all."""
    before = graph(case.text, **case.tensors)
    found = rewrite(before, [case.name])
    assert found.places[case.name] > 0
    assert " ".join(operators(found.model)) == case.left
    assert [v.name for v in found.model.graph.output] == [v.name for v in before.graph.output]
    same(before, found.model)


def refuses(case: Case) -> None:
    """Assert that the pass gives the very same model back."""
    before = graph(case.text, **case.tensors)
    found = rewrite(before, [case.name])
    assert found.places == {case.name: 0}
    assert found.model is before


def same(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    """Assert that two models answer the same, up to the rounding of another order of sums."""
    for seed in (0, 1):
        for a, b in zip(answers(before, seed=seed), answers(after, seed=seed), strict=True):
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-5)
