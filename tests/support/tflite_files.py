"""Small real .tflite files, written with the schema's own bindings: good ones, and those users bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite

WIDTH = 100  # samples of one row that the weights look at
CLASSES = 4


def tiny_tflite(
    lengths: Sequence[int] = (16_000,),
    *,
    signatures: bool = True,
    input_type: int = tflite.TensorType.FLOAT32,
    extra_input: bool = False,
    custom: str | None = None,
    channel_last: bool = False,
    metadata: dict[str, bytes] | None = None,
) -> bytes:
    """``waveform (1, samples)`` -> ``emotion_logits (1, 4)``: rows of 100 by a 4 x 100 matrix, then the mean.

    One graph and signature a length; all share the matrix.
    """
    writer = _Writer(metadata or {})
    weights = np.random.default_rng(0).standard_normal((CLASSES, WIDTH)).astype(np.float32)
    shared = writer.buffer(weights.tobytes())
    for length in lengths:
        writer.graph(
            length,
            shared,
            input_type=input_type,
            extra_input=extra_input,
            custom=custom,
            channel_last=channel_last,
        )
    return writer.finish(signatures=signatures)


def expected(waveform: np.ndarray) -> np.ndarray:
    """What a tiny file answers, by the equation."""
    weights = np.random.default_rng(0).standard_normal((CLASSES, WIDTH)).astype(np.float32)
    return (waveform.reshape(-1, WIDTH) @ weights.T).mean(axis=0)[np.newaxis]


class _Writer:
    def __init__(self, metadata: dict[str, bytes]) -> None:
        self.b = flatbuffers.Builder(1 << 12)
        self.buffers: list[int] = []
        self.codes: dict[tuple[int, str | None], int] = {}
        self.graphs: list[tuple[int, list[tuple[str, int]], list[tuple[str, int]], int]] = []
        self.buffer(b"")  # buffer 0 stands for "no values"
        self.metadata = [(name, self.buffer(value)) for name, value in metadata.items()]

    def buffer(self, data: bytes) -> int:
        vector = self.b.CreateByteVector(data) if data else None
        tflite.BufferStart(self.b)
        if vector is not None:
            tflite.BufferAddData(self.b, vector)
        self.buffers.append(tflite.BufferEnd(self.b))
        return len(self.buffers) - 1

    def code(self, kind: int, custom: str | None = None) -> int:
        return self.codes.setdefault((kind, custom), len(self.codes))

    def ints(self, start: Any, values: Sequence[int]) -> int:
        start(self.b, len(values))
        for value in reversed(values):
            self.b.PrependInt32(value)
        return self.b.EndVector()

    def offsets(self, start: Any, values: Sequence[int]) -> int:
        start(self.b, len(values))
        for value in reversed(values):
            self.b.PrependUOffsetTRelative(value)
        return self.b.EndVector()

    def tensor(
        self, name: str, shape: Sequence[int], *, kind: int = tflite.TensorType.FLOAT32, buffer: int = 0
    ) -> int:
        text = self.b.CreateString(name)
        sizes = self.ints(tflite.TensorStartShapeVector, shape)
        tflite.TensorStart(self.b)
        tflite.TensorAddShape(self.b, sizes)
        tflite.TensorAddType(self.b, kind)
        tflite.TensorAddBuffer(self.b, buffer)
        tflite.TensorAddName(self.b, text)
        return tflite.TensorEnd(self.b)

    def operator(
        self, code: int, inputs: Sequence[int], outputs: Sequence[int], options: tuple[int, int] | None = None
    ) -> int:
        taken = self.ints(tflite.OperatorStartInputsVector, inputs)
        given = self.ints(tflite.OperatorStartOutputsVector, outputs)
        tflite.OperatorStart(self.b)
        tflite.OperatorAddOpcodeIndex(self.b, code)
        tflite.OperatorAddInputs(self.b, taken)
        tflite.OperatorAddOutputs(self.b, given)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(self.b, options[0])
            tflite.OperatorAddBuiltinOptions(self.b, options[1])
        return tflite.OperatorEnd(self.b)

    def graph(
        self,
        length: int,
        weights: int,
        *,
        input_type: int,
        extra_input: bool,
        custom: str | None,
        channel_last: bool,
    ) -> None:
        rows = length // WIDTH
        integers = tflite.TensorType.INT32
        shape = self.buffer(np.array([1, rows, WIDTH], np.int32).tobytes())
        axis = self.buffer(np.array([1], np.int32).tobytes())
        tensors = [
            self.tensor("in", [1, length, 1] if channel_last else [1, length], kind=input_type),
            self.tensor("shape", [3], kind=integers, buffer=shape),
            self.tensor("rows", [1, rows, WIDTH]),
            self.tensor("weights", [CLASSES, WIDTH], buffer=weights),
            self.tensor("products", [1, rows, CLASSES]),
            self.tensor("axis", [1], kind=integers, buffer=axis),
            self.tensor("out", [1, CLASSES]),
            *([self.tensor("speaker", [1])] if extra_input else []),
        ]
        tflite.FullyConnectedOptionsStart(self.b)
        tflite.FullyConnectedOptionsAddKeepNumDims(self.b, True)
        connected = (tflite.BuiltinOptions.FullyConnectedOptions, tflite.FullyConnectedOptionsEnd(self.b))
        tflite.ReducerOptionsStart(self.b)
        mean = (tflite.BuiltinOptions.ReducerOptions, tflite.ReducerOptionsEnd(self.b))
        op = tflite.BuiltinOperator
        operators = [
            self.operator(self.code(op.RESHAPE), [0, 1], [2]),
            self.operator(self.code(op.FULLY_CONNECTED), [2, 3, -1], [4], connected),
            self.operator(self.code(op.CUSTOM, custom), [4, 5], [6])
            if custom
            else self.operator(self.code(op.MEAN), [4, 5], [6], mean),
        ]
        inputs = [("waveform", 0), *([("speaker", 7)] if extra_input else [])]
        tensor_vector = self.offsets(tflite.SubGraphStartTensorsVector, tensors)
        operator_vector = self.offsets(tflite.SubGraphStartOperatorsVector, operators)
        taken = self.ints(tflite.SubGraphStartInputsVector, [number for _, number in inputs])
        given = self.ints(tflite.SubGraphStartOutputsVector, [6])
        tflite.SubGraphStart(self.b)
        tflite.SubGraphAddTensors(self.b, tensor_vector)
        tflite.SubGraphAddInputs(self.b, taken)
        tflite.SubGraphAddOutputs(self.b, given)
        tflite.SubGraphAddOperators(self.b, operator_vector)
        self.graphs.append((tflite.SubGraphEnd(self.b), inputs, [("emotion_logits", 6)], length))

    def ports(self, ports: list[tuple[str, int]]) -> list[int]:
        found = []
        for name, number in ports:
            text = self.b.CreateString(name)
            tflite.TensorMapStart(self.b)
            tflite.TensorMapAddName(self.b, text)
            tflite.TensorMapAddTensorIndex(self.b, number)
            found.append(tflite.TensorMapEnd(self.b))
        return found

    def signature(self, number: int) -> int:
        _, inputs, outputs, length = self.graphs[number]
        taken = self.offsets(tflite.SignatureDefStartInputsVector, self.ports(inputs))
        given = self.offsets(tflite.SignatureDefStartOutputsVector, self.ports(outputs))
        key = self.b.CreateString(f"samples_{length}")
        tflite.SignatureDefStart(self.b)
        tflite.SignatureDefAddInputs(self.b, taken)
        tflite.SignatureDefAddOutputs(self.b, given)
        tflite.SignatureDefAddSignatureKey(self.b, key)
        tflite.SignatureDefAddSubgraphIndex(self.b, number)
        return tflite.SignatureDefEnd(self.b)

    def operator_code(self, kind: int, custom: str | None) -> int:
        text = self.b.CreateString(custom) if custom else None
        tflite.OperatorCodeStart(self.b)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(self.b, min(kind, 127))
        tflite.OperatorCodeAddBuiltinCode(self.b, kind)
        tflite.OperatorCodeAddVersion(self.b, 1)
        if text is not None:
            tflite.OperatorCodeAddCustomCode(self.b, text)
        return tflite.OperatorCodeEnd(self.b)

    def entry(self, name: str, buffer: int) -> int:
        text = self.b.CreateString(name)
        tflite.MetadataStart(self.b)
        tflite.MetadataAddName(self.b, text)
        tflite.MetadataAddBuffer(self.b, buffer)
        return tflite.MetadataEnd(self.b)

    def finish(self, *, signatures: bool) -> bytes:
        named = [self.signature(n) for n in range(len(self.graphs))] if signatures else []
        signature_vector = self.offsets(tflite.ModelStartSignatureDefsVector, named)
        codes = [self.operator_code(kind, custom) for kind, custom in self.codes]
        code_vector = self.offsets(tflite.ModelStartOperatorCodesVector, codes)
        graph_vector = self.offsets(tflite.ModelStartSubgraphsVector, [graph[0] for graph in self.graphs])
        entries = [self.entry(name, number) for name, number in self.metadata]
        metadata_vector = self.offsets(tflite.ModelStartMetadataVector, entries)
        buffer_vector = self.offsets(tflite.ModelStartBuffersVector, self.buffers)
        tflite.ModelStart(self.b)
        tflite.ModelAddVersion(self.b, 3)
        tflite.ModelAddOperatorCodes(self.b, code_vector)
        tflite.ModelAddSubgraphs(self.b, graph_vector)
        tflite.ModelAddBuffers(self.b, buffer_vector)
        tflite.ModelAddMetadata(self.b, metadata_vector)
        tflite.ModelAddSignatureDefs(self.b, signature_vector)
        self.b.Finish(tflite.ModelEnd(self.b), file_identifier=b"TFL3")
        return bytes(self.b.Output())
