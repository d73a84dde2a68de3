"""Reading a .tflite file: its signatures, its stored weights and what its graph costs.

A converted file takes one length a signature: the shapes are fixed when it is converted, and several
signatures share their weights. Where a length is free, the stored shapes are those of one length, and the
runtime finds the others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from edgebench.errors import ModelError
from edgebench.models.formats.contents import Contents, Tensor
from edgebench.models.formats.tflite_graph import IDENTIFIER, Graph, Operator, TfliteModel, read_tflite
from edgebench.models.formats.waveform import check_waveform, only_input
from edgebench.models.graph.macs import RULE
from edgebench.models.manifest import METADATA_KEY

__all__ = ["FORMAT", "IDENTIFIER", "read"]

FORMAT = "tflite"

# Custom operators that the runtimes register themselves (tensorflow/lite/kernels/register.cc).
_KNOWN_CUSTOM = {"NumericVerify", "Mfcc", "AudioSpectrogram", "TFLite_Detection_PostProcess"}
_WEIGHTS = {"float32", "float16", "bfloat16", "float64", "int8", "uint8", "int16", "int4"}
# Operators that multiply and add by rules of their own: a count that skipped them would be too small.
_UNCOUNTED = {
    *("CUSTOM", "CALL", "CALL_ONCE", "IF", "WHILE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE", "DELEGATE"),
    *("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "SVDF", "RFFT2D"),
    *("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN", "CONV_3D_TRANSPOSE"),
    *("STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL"),
}


def read(path: Path) -> Contents:
    """Read and check a .tflite file. Raises ModelError with what was found and what to do."""
    model = read_tflite(path)
    _refuse_custom(path, model)
    graphs, waveform = _waveform_graphs(path, model)
    first = graphs[0]
    lengths = {length for graph in graphs if (length := _length(path, graph)) is not None}
    return Contents(
        format=FORMAT,
        input_name=waveform.name,
        input_shape=waveform.shape if len(lengths) < 2 else _free_samples(path, waveform),
        lengths=tuple(sorted(lengths)),
        outputs={name: first.tensors[number].declared for name, number in first.outputs.items()},
        parameters=count_parameters(model),
        operators=dict(sorted(Counter(_kind(operator) for operator in first.operators).items())),
        macs=lambda samples: _macs(path, samples),
        manifest=_text(model.metadata.get(METADATA_KEY)),
    )


def _waveform_graphs(path: Path, model: TfliteModel) -> tuple[list[Graph], Tensor]:
    """The graphs that take a waveform, one a signature, and the input of the first.

    A file without signatures is its first graph. Among several signatures those that take no waveform, or
    answer with other outputs than the first that does, are for something else (training, saving).
    """
    candidates = list(model.signatures.values()) or [model.graphs[0]]
    if len(candidates) == 1:
        tensor = only_input(path, _inputs(candidates[0]))
        check_waveform(path, tensor)
        return candidates, tensor
    fit: list[Graph] = []
    refusal: ModelError | None = None
    for graph in candidates:
        try:
            check_waveform(path, only_input(path, _inputs(graph)))
        except ModelError as error:
            refusal = refusal or error
            continue
        if not fit or graph.outputs.keys() == fit[0].outputs.keys():
            fit.append(graph)
    if not fit:
        assert refusal is not None
        raise refusal
    return fit, _inputs(fit[0])[0]


def _inputs(graph: Graph) -> list[Tensor]:
    return [
        Tensor(name, graph.tensors[number].dtype, graph.tensors[number].declared)
        for name, number in graph.inputs.items()
    ]


def _length(path: Path, graph: Graph) -> int | None:
    """The number of samples that a graph takes, None where it is free."""
    tensor = _inputs(graph)[0]
    return tensor.shape[check_waveform(path, tensor)]


def _stored_length(graph: Graph) -> int:
    """The number of samples of the shapes that are stored: all there is to count by where it is free."""
    (number,) = graph.inputs.values()
    return math.prod(graph.tensors[number].shape)


def _free_samples(path: Path, waveform: Tensor) -> tuple[int | None, ...]:
    axis = check_waveform(path, waveform)
    return tuple(None if place == axis else size for place, size in enumerate(waveform.shape))


def _refuse_custom(path: Path, model: TfliteModel) -> None:
    custom = {op.custom for graph in model.graphs for op in graph.operators if op.custom is not None}
    unknown = sorted(custom - _KNOWN_CUSTOM)
    if not unknown:
        return
    flex = any(name.startswith("Flex") for name in unknown)
    raise ModelError(
        f"model {path} uses the custom operator{'s' if len(unknown) > 1 else ''} "
        f"{', '.join(map(repr, unknown))}, which the runtimes that edgebench measures with (ai-edge-litert, "
        f"tflite-runtime) do not have. Convert it again with built-in operators alone"
        f"{' (without SELECT_TF_OPS)' if flex else ''}."
    )


def count_parameters(model: TfliteModel) -> int:
    """Elements of the stored weights: no scalars, and no integers but quantized ones (shapes, indices).

    A buffer that several signatures share counts once.
    """
    sizes: dict[int, int] = {}
    for graph in model.graphs:
        for tensor in graph.tensors:
            weights = tensor.dtype in _WEIGHTS or tensor.quantized  # quantized: a bias in int32
            if tensor.stored is not None and tensor.shape and weights:
                sizes[tensor.stored] = math.prod(tensor.shape)
    return sum(sizes.values())


def _macs(path: Path, samples: int) -> int:
    """Multiply-accumulates of the graph that takes ``samples``, by the rule of ``graph.macs``."""
    graphs, waveform = _waveform_graphs(path, read_tflite(path))
    graph = next(
        (graph for graph in graphs if samples in (_length(path, graph), _stored_length(graph))), None
    )
    if graph is None:
        raise ModelError(
            f"MACs cannot be counted: input {waveform.name!r} has a free axis, and at {samples} samples the "
            "runtime alone knows the shapes of a .tflite file."
        )
    return sum(_operator_macs(operator, graph) for operator in graph.operators)


def _operator_macs(operator: Operator, graph: Graph) -> int:
    if operator.kind in _UNCOUNTED or operator.kind.startswith("operator "):
        raise ModelError(
            f"MACs cannot be counted: the rule {RULE!r} does not cover operator {_kind(operator)}."
        )
    if operator.kind not in _PRODUCTS:
        return 0
    shapes = [() if number < 0 else graph.tensors[number].shape for number in operator.inputs]
    output = math.prod(graph.tensors[operator.outputs[0]].shape)
    if operator.kind == "TRANSPOSE_CONV":  # inputs: shape of the output, weights (out, h, w, in), input
        return math.prod(shapes[2]) * math.prod(shapes[1][:3])
    if operator.kind == "BATCH_MATMUL":
        return output * shapes[0][-2 if operator.transposes_left else -1]
    return output * math.prod(shapes[1][_PRODUCTS[operator.kind]])


# Operator -> the axes of its weights over which one output element is a sum.
_PRODUCTS: Mapping[str, slice] = {
    "CONV_2D": slice(1, None),  # (out, h, w, in / groups)
    "DEPTHWISE_CONV_2D": slice(1, 3),  # (1, h, w, out)
    "CONV_3D": slice(0, 4),  # (d, h, w, in, out)
    "FULLY_CONNECTED": slice(-1, None),  # (out, in)
    "BATCH_MATMUL": slice(0, 0),
    "TRANSPOSE_CONV": slice(0, 0),
}


def _kind(operator: Operator) -> str:
    return operator.custom or operator.kind


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", errors="replace")
