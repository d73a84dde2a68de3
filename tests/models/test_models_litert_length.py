"""Two signatures of fixed lengths into one of a free length, on graphs that are written here by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

schema = pytest.importorskip("ai_edge_litert.schema_py_generated", reason="needs the extra litert")

from edgebench.models.quantization.litert_kernels import for_xnnpack  # noqa: E402
from edgebench.models.quantization.litert_length import FixedLengthError, freed  # noqa: E402
from edgebench.models.quantization.litert_tidy import packed  # noqa: E402

KINDS = schema.BuiltinOperator


class Build:
    """A model of float graphs; ``graph`` adds one with a signature."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.model.subgraphs, self.model.signatureDefs, self.model.metadata = [], [], []

    def tensor(self, graph: Any, shape: Any, stored: Any = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = f"t{len(graph.tensors)}", np.array(shape, np.int32)
        tensor.buffer = 0
        if stored is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(stored.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
            if stored.dtype == np.int32:
                tensor.type = schema.TensorType.INT32
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def operator(self, kind: int, inputs: list[int], outputs: list[int]) -> Any:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        return operator

    def signed(self, graph: Any, given: int, found: int) -> None:
        graph.inputs, graph.outputs = [given], [found]
        signature = schema.SignatureDefT()
        signature.signatureKey = f"length{len(self.model.subgraphs)}"
        signature.subgraphIndex = len(self.model.subgraphs)
        for place, name, number in (("inputs", "waveform", given), ("outputs", "out", found)):
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name, number
            setattr(signature, place, [entry])
        self.model.subgraphs.append(graph)
        self.model.signatureDefs.append(signature)


def _graph() -> Any:
    graph = schema.SubGraphT()
    graph.tensors, graph.operators = [], []
    return graph


def _blocks(lengths: tuple[int, int], *, added: bool = False) -> Any:
    """(1, n) to blocks (1, n / 4, 4) without the first two; ``added``: and a constant of n numbers."""
    build = Build()
    codes: list[Any] = []
    for samples in lengths:
        graph, blocks = _graph(), samples // 4
        given = build.tensor(graph, (1, samples))
        read = given
        if added:
            ramp = build.tensor(graph, (1, samples), np.full((1, samples), samples, np.float32))
            read = build.tensor(graph, (1, samples))
            codes.append(build.operator(KINDS.ADD, [given, ramp], [read]))
            codes[-1].builtinOptionsType = schema.BuiltinOptions.AddOptions
            codes[-1].builtinOptions = schema.AddOptionsT()
        shape = build.tensor(graph, (3,), np.array([1, blocks, 4], np.int32))
        folded = build.tensor(graph, (1, blocks, 4))
        codes.append(build.operator(KINDS.RESHAPE, [read, shape], [folded]))
        begin = build.tensor(graph, (3,), np.array([0, 2, 0], np.int32))
        size = build.tensor(graph, (3,), np.array([1, blocks - 2, 4], np.int32))
        left = build.tensor(graph, (1, blocks - 2, 4))
        codes.append(build.operator(KINDS.SLICE, [folded, begin, size], [left]))
        build.signed(graph, given, left)
        graph.operators, codes = codes, []
    half = len(build.model.operatorCodes) // 2
    for operator in build.model.subgraphs[1].operators:
        operator.opcodeIndex -= half  # as a converter writes it: one code a kind
    return build.model


def _answer(model: Any, waveform: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=packed(model)).get_signature_runner("serving_default")
    return runner(waveform=waveform)["out"]


@pytest.mark.parametrize("samples", [32, 12, 20, 400])
def test_one_signature_takes_every_length(samples: int) -> None:
    waveform = np.arange(samples, dtype=np.float32)[np.newaxis]
    np.testing.assert_array_equal(
        _answer(freed(_blocks((32, 16))), waveform), waveform.reshape(1, -1, 4)[:, 2:]
    )


def test_a_constant_that_depends_on_the_length_is_refused() -> None:
    with pytest.raises(FixedLengthError, match="another size"):
        freed(_blocks((32, 16), added=True))


def test_a_slice_that_ends_before_the_end_is_refused() -> None:
    model = _blocks((32, 16))
    for graph in model.subgraphs:
        sizes = graph.tensors[graph.operators[-1].inputs[2]]
        blocks = graph.tensors[graph.operators[-1].inputs[0]].shape[1]
        shorter = np.array([1, blocks - 3, 4], np.int32)
        model.buffers[sizes.buffer].data = np.frombuffer(shorter.tobytes(), np.uint8)
    with pytest.raises(FixedLengthError, match="depends on the length"):
        freed(model)


def test_a_convolution_over_one_channel_gives_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    answers = []
    for turned in (False, True):
        build, graph = Build(), _graph()
        rng = np.random.default_rng(0)
        given = build.tensor(graph, (1, 9, 7, 1))
        weight = build.tensor(graph, (1, 3, 2, 5), rng.normal(size=(1, 3, 2, 5)).astype(np.float32))
        bias = build.tensor(graph, (5,), rng.normal(size=5).astype(np.float32))
        found = build.tensor(graph, (1, 4, 6, 5))
        operator = build.operator(KINDS.DEPTHWISE_CONV_2D, [given, weight, bias], [found])
        operator.builtinOptionsType = schema.BuiltinOptions.DepthwiseConv2DOptions
        operator.builtinOptions = options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.depthMultiplier = schema.Padding.VALID, 5
        options.strideH, options.strideW = 2, 1
        options.dilationHFactor = options.dilationWFactor = 1
        graph.operators = [operator]
        build.signed(graph, given, found)
        build.model.signatureDefs[0].signatureKey = "serving_default"
        model = for_xnnpack(build.model) if turned else build.model
        kind = model.operatorCodes[operator.opcodeIndex].builtinCode
        assert kind == (KINDS.CONV_2D if turned else KINDS.DEPTHWISE_CONV_2D)
        answers.append(_answer(model, rng.normal(size=(1, 9, 7, 1)).astype(np.float32)))
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-5, atol=1e-6)
    assert np.abs(answers[0]).max() > 0.1
