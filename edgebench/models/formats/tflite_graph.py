"""A .tflite file as plain values: its graphs, operators, tensors and signatures.

The bindings of the schema are the package ``tflite``: pure Python, 153 KB, made from the schema that the
runtime is built with. They check nothing, so whatever a damaged file makes them raise is caught here.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebench.errors import ModelError
from edgebench.models.formats.contents import Shape

IDENTIFIER = b"TFL3"

# What reading a damaged flatbuffer raises: offsets that lead out of the file, text that is none.
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, KeyError)


@dataclass(frozen=True)
class GraphTensor:
    """``shape`` is what the file was converted at, ``declared`` has None on free axes.

    ``stored``: the number of the buffer that holds its values, None for what is computed.
    ``quantized``: it has scales.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    declared: Shape
    stored: int | None
    quantized: bool


@dataclass(frozen=True)
class Operator:
    """``kind`` is the schema's name, ``custom`` the name of a custom operator. -1 in ``inputs``: none."""

    kind: str
    custom: str | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    transposes_left: bool = False


@dataclass(frozen=True)
class Graph:
    """Tensors by number; ``inputs`` and ``outputs``: name -> number."""

    tensors: tuple[GraphTensor, ...]
    operators: tuple[Operator, ...]
    inputs: dict[str, int]
    outputs: dict[str, int]


@dataclass(frozen=True)
class TfliteModel:
    """``graphs`` as the file orders them; ``signatures``: name -> a graph with the signature's names.

    ``metadata``: name -> bytes.
    """

    graphs: tuple[Graph, ...]
    signatures: dict[str, Graph]
    metadata: dict[str, bytes]


def read_tflite(path: Path) -> TfliteModel:
    """Decode a file. Raises ModelError where it was cut or damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"model {path} cannot be read: {error.strerror or error}.") from None
    try:
        model = _Reader(data).model()
    except _DAMAGE:
        model = None
    if model is None or not model.graphs or not all(graph.operators for graph in model.graphs[:1]):
        raise ModelError(
            f"model {path} ({len(data)} bytes) cannot be read as .tflite: it was cut or damaged on its way. "
            "Copy or convert it again."
        )
    return model


@functools.cache
def _names(enum: str) -> dict[int, str]:
    """Number -> name of an enumeration of the schema."""
    import tflite  # noqa: PLC0415

    return {number: name for name, number in vars(getattr(tflite, enum)).items() if not name.startswith("_")}


class _Reader:
    """Walks the flatbuffer. Every number that leads somewhere is checked against the file."""

    def __init__(self, data: bytes) -> None:
        import tflite  # noqa: PLC0415

        self._data = data
        self._model = tflite.Model.GetRootAs(data, 0)
        self._codes = [
            self._code(self._model.OperatorCodes(n)) for n in range(self._model.OperatorCodesLength())
        ]
        self._filled = [self._is_filled(n) for n in range(self._model.BuffersLength())]

    def model(self) -> TfliteModel:
        graphs = tuple(self._graph(self._model.Subgraphs(n)) for n in range(self._model.SubgraphsLength()))
        signatures = {}
        for number in range(self._model.SignatureDefsLength()):
            signature = self._model.SignatureDefs(number)
            graph = graphs[signature.SubgraphIndex()]
            key = (signature.SignatureKey() or b"").decode()
            signatures[key] = Graph(
                graph.tensors,
                graph.operators,
                self._ports([signature.Inputs(n) for n in range(signature.InputsLength())], graph),
                self._ports([signature.Outputs(n) for n in range(signature.OutputsLength())], graph),
            )
        return TfliteModel(graphs, signatures, self._metadata())

    def _graph(self, graph: Any) -> Graph:
        tensors = tuple(self._tensor(graph.Tensors(n)) for n in range(graph.TensorsLength()))
        operators = tuple(
            self._operator(graph.Operators(n), len(tensors)) for n in range(graph.OperatorsLength())
        )
        inputs = [graph.Inputs(n) for n in range(graph.InputsLength())]
        outputs = [graph.Outputs(n) for n in range(graph.OutputsLength())]
        return Graph(
            tensors,
            operators,
            {tensors[number].name: number for number in inputs},
            {tensors[number].name: number for number in outputs},
        )

    def _ports(self, maps: list[Any], graph: Graph) -> dict[str, int]:
        ports = {(entry.Name() or b"").decode(): int(entry.TensorIndex()) for entry in maps}
        for number in ports.values():
            graph.tensors[number]
        return ports

    def _tensor(self, tensor: Any) -> GraphTensor:
        shape = tuple(int(tensor.Shape(n)) for n in range(tensor.ShapeLength()))
        free = tuple(int(tensor.ShapeSignature(n)) for n in range(tensor.ShapeSignatureLength()))
        declared = tuple(None if size < 0 else size for size in (free if len(free) == len(shape) else shape))
        number = tensor.Buffer()
        scales = tensor.Quantization()
        return GraphTensor(
            name=(tensor.Name() or b"").decode(),
            dtype=_names("TensorType").get(tensor.Type(), f"type {tensor.Type()}").lower(),
            shape=shape,
            declared=declared,
            stored=number if self._filled[number] else None,
            quantized=scales is not None and scales.ScaleLength() > 0,
        )

    def _operator(self, operator: Any, tensors: int) -> Operator:
        inputs = tuple(int(operator.Inputs(n)) for n in range(operator.InputsLength()))
        outputs = tuple(int(operator.Outputs(n)) for n in range(operator.OutputsLength()))
        if any(not -1 <= number < tensors for number in (*inputs, *outputs)):
            raise IndexError("an operator names a tensor that is not there")
        kind, custom = self._codes[operator.OpcodeIndex()]
        return Operator(kind, custom, inputs, outputs, kind == "BATCH_MATMUL" and _adjoint_left(operator))

    def _code(self, code: Any) -> tuple[str, str | None]:
        # Codes above 126 do not fit the first field, which stays for old readers.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = _names("BuiltinOperator").get(number, f"operator {number}")
        custom = code.CustomCode() if kind == "CUSTOM" else None
        return kind, (custom or b"").decode() if kind == "CUSTOM" else None

    def _is_filled(self, number: int) -> bool:
        """Whether a buffer holds values; raises ValueError where they would lie beyond the file."""
        buffer = self._model.Buffers(number)
        if buffer.Offset() > 1:  # values of large files stand behind the flatbuffer
            if buffer.Offset() + buffer.Size() > len(self._data):
                raise ValueError("a buffer ends beyond the file")
            return bool(buffer.Size())
        values = buffer.DataAsNumpy()  # a view; checks the bounds, which plain access does not
        return buffer.DataLength() > 0 and len(values) > 0

    def _metadata(self) -> dict[str, bytes]:
        found = {}
        for number in range(self._model.MetadataLength()):
            entry = self._model.Metadata(number)
            values = self._model.Buffers(entry.Buffer()).DataAsNumpy()
            if not isinstance(values, int):  # 0: an empty vector
                found[(entry.Name() or b"").decode()] = values.tobytes()
        return found


def _adjoint_left(operator: Any) -> bool:
    import tflite  # noqa: PLC0415

    table = operator.BuiltinOptions()
    if table is None:
        return False
    options = tflite.BatchMatMulOptions()
    options.Init(table.Bytes, table.Pos)
    return bool(options.AdjX())
