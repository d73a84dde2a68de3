"""A net run piece by piece over clips, so that its later part can be changed after its earlier part has run.

Weights are quantized from the input on, and each sees the answers of those that are quantized already. The
values that cross a border are kept for every clip where memory allows, so that the whole costs little more
than one run of the net. Where they would take too much, the next piece starts from the last border kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.quantization.scheme import Waveform

if TYPE_CHECKING:
    import onnx
    import onnxruntime

Values = dict[str, NDArray[np.generic]]

MOST_KEPT_BYTES = 2**28


class Pieces:
    """The values at a border of the graph, by clip; the border only moves on.

    The model's stored tensors are read when a piece runs: a change of one must come after the border has
    passed its use for the last time, or before it does so for the first.
    """

    def __init__(self, model: onnx.ModelProto, waveforms: Sequence[Waveform]) -> None:
        if len(model.graph.input) != 1:
            raise ModelError(
                f"the net has {len(model.graph.input)} inputs, and calibration clips fill one, the waveform."
            )
        self._model = model
        self._border = self._kept_at = 0
        name = model.graph.input[0].name
        self._kept: list[Values] = [{name: waveform[np.newaxis]} for waveform in waveforms]

    def __len__(self) -> int:
        return len(self._kept)

    def advance(self, place: int) -> None:
        """Move the border before node ``place``, and keep the values there where they are small enough."""
        self._border = place
        first = next(self.values())
        samples = [sum(value.size for value in clip.values()) for clip in self._kept]
        expected = sum(value.nbytes for value in first.values()) * sum(samples) / samples[0]
        if expected <= MOST_KEPT_BYTES:
            self._kept = list(self.values())
            self._kept_at = place

    def values(self) -> Iterator[Values]:
        """What the nodes behind the border read of those before it, clip by clip."""
        needed = self._needed()
        nodes = self._model.graph.node[self._kept_at : self._border]
        made = [name for node in nodes for name in node.output if name in needed]
        session = piece(self._model, nodes, made, self._kept[0]) if made else None
        for clip in self._kept:
            found = clip if session is None else {**clip, **run(session, made, clip)}
            yield {name: value for name, value in found.items() if name in needed}

    def rest(self) -> tuple[onnxruntime.InferenceSession, list[str]]:
        """A session of all nodes behind the border, and the names of all that it gives."""
        nodes = self._model.graph.node[self._border :]
        made = [name for node in nodes for name in node.output if name]
        return piece(self._model, nodes, made, next(self.values())), made

    def _needed(self) -> set[str]:
        later = self._model.graph.node[self._border :]
        return {name for node in later for name in node.input} | {v.name for v in self._model.graph.output}


def piece(
    model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], made: Sequence[str], given: Values
) -> onnxruntime.InferenceSession:
    """A session of some nodes of a model: from values such as ``given`` to the values ``made``."""
    from onnx import ValueInfoProto, helper  # noqa: PLC0415

    used = {name for node in nodes for name in node.input}
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), [None] * value.ndim)
        for name, value in given.items()
        if name in used
    ]
    graph = helper.make_graph(
        nodes,
        "piece",
        inputs,
        [ValueInfoProto(name=name) for name in made],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return session_of(part.SerializeToString())


def session_of(data: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread of the CPU, without words."""
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, made: Sequence[str], given: Values) -> Values:
    """Run a piece on the values of one clip."""
    inputs = {value.name: given[value.name] for value in session.get_inputs()}
    return dict(zip(made, session.run(list(made), inputs), strict=True))
