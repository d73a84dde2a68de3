"""Ranges found by neural-compressor 3.x: it observes the net in torch, and its scales go into the ONNX graph.

Its own export writes the whole net at one length, with the front end and the softmax in 8 bits. So its
quantizer runs on the net as it is meant to, and of what it found the scales of convolutions and products are
taken over, for the nodes that ``float_parts`` leaves to 8 bits.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.quantization.float_parts import Graph
from edgebench.models.quantization.litert_convert import quiet
from edgebench.models.quantization.net_from_onnx import net_from_onnx
from edgebench.models.quantization.scheme import Waveform
from edgebench.models.quantization.source import third_party

if TYPE_CHECKING:
    import onnx

LENGTH_S = 5.0  # its exporter knows no free length; clips are repeated or cut to this one
SAMPLE_RATE_HZ = 16_000
NEEDS = ("torch", "neural_compressor", "cpuinfo", "prettytable", "torchao")
_WEIGHTED = ("conv1d", "conv2d", "linear")

Quantizer = Callable[[Any, Sequence[Any]], Any]


@dataclass(frozen=True)
class Ranges:
    """Of one convolution or product: scale and zero point of what it reads (unsigned bytes), and the scale
    of its weight for each output channel (signed bytes)."""

    scale: float
    zero_point: int
    weight_scales: NDArray[np.float32]


def observed(parent: Path, waveforms: Sequence[Waveform], quantize: Quantizer) -> dict[str, Ranges]:
    """Ranges by the name of a weight, its dots as underscores, such as ``vgg7_1_0_weight``.

    ``quantize(net in torch, clips (1, samples))`` gives neural-compressor's converted graph. Raises
    ModelError for a file that no architecture here fits, and where the library fails.
    """
    import torch  # noqa: PLC0415

    net = net_from_onnx(parent)
    samples = round(LENGTH_S * SAMPLE_RATE_HZ)
    clips = [torch.from_numpy(np.resize(clip, samples)[np.newaxis].copy()) for clip in waveforms]
    with third_party("neural-compressor"), _silent(), torch.no_grad():
        converted = quantize(_outputs_only(net), clips)
        if converted is None:
            raise ModelError(
                "neural-compressor's tuning found nothing that keeps the loss that is tolerable."
            )
        return ranges_in(converted)


def weights_before(source: onnx.ModelProto, rewritten: onnx.ModelProto) -> dict[str, tuple[str, str]]:
    """Weight of a rewritten graph -> the name in its source of that weight and of the node that reads it.

    Raises ModelError where the passes left other convolutions and products than there were.
    """
    found = []
    for model in (source, rewritten):
        graph = Graph(model)
        found.append([node for node in graph.nodes if graph.weight_shape(node) is not None])
    if [node.op_type for node in found[0]] != [node.op_type for node in found[1]]:
        raise ModelError(
            "the passes change which convolutions and products there are, and their scales with it."
        )
    return {new.input[1]: (old.input[1], old.name) for old, new in zip(*found, strict=True)}


def overrides_for(
    graph: Graph,
    chosen: Sequence[str],
    ranges: Mapping[str, Ranges],
    before: Mapping[str, tuple[str, str]],
) -> dict[str, list[dict[str, Any]]]:
    """The ranges as onnxruntime's quantizer takes them: by the names of values and weights of the graph.

    ``before`` is :func:`weights_before`. Channels that padding added get the scale 1: their weights are zero.
    """
    from onnxruntime.quantization import QuantType  # noqa: PLC0415

    found: dict[str, list[dict[str, Any]]] = {}
    for node in graph.nodes:
        shape = graph.weight_shape(node)
        if node.name not in chosen or shape is None:
            continue
        weight = node.input[1]
        name, reader = before[weight]
        name = name if name.endswith(".weight") else f"{reader.rpartition('/')[0]}.weight"
        known = ranges.get(name.replace(".", "_"))
        if known is None:
            raise ModelError(f"neural-compressor says nothing of {name!r}, which this scheme quantizes.")
        axis = len(shape) - 1 if node.op_type == "MatMul" else 0
        scales = np.pad(known.weight_scales, (0, shape[axis] - len(known.weight_scales)), constant_values=1.0)
        found[weight] = [
            {
                "quant_type": QuantType.QInt8,
                "axis": axis,
                "scale": np.array(scale, np.float32),
                "zero_point": np.array(0, np.int8),
            }
            for scale in scales
        ]
        found[_before_moves(graph, node.input[0])] = [
            {
                "quant_type": QuantType.QUInt8,
                "scale": np.array(known.scale, np.float32),
                "zero_point": np.array(known.zero_point, np.uint8),
            }
        ]
    return found


def _before_moves(graph: Graph, name: str) -> str:
    """The value behind pooling: what goes into it has the same scale as what comes out."""
    while name in graph.producers and graph.producers[name].op_type == "MaxPool":
        name = graph.producers[name].input[0]
    return name


def ranges_in(converted: Any) -> dict[str, Ranges]:
    """Scales of each convolution and product in a graph of torch with pairs; empty for a float one."""
    found = {}
    for node in converted.graph.nodes:
        kind = getattr(node.target, "_opname", "")
        if node.op != "call_function" or kind not in _WEIGHTED:
            continue
        read, weight = node.args[0], node.args[1]
        if not (
            "dequantize_per_tensor" in str(read.target) and "dequantize_per_channel" in str(weight.target)
        ):
            continue
        source = weight.args[0].args[0]
        scales = getattr(converted, weight.args[1].target)
        name = str(source.target).replace(".", "_").removeprefix("net_")
        found[name] = Ranges(
            float(read.args[1]), int(read.args[2]), scales.detach().numpy().astype(np.float32)
        )
    return found


def _outputs_only(net: Any) -> Any:
    """The net with its answers as a tuple, which torch's exporter takes."""
    from torch import nn  # noqa: PLC0415

    class Answers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, waveform: Any) -> Any:
            return tuple(self.net(waveform).values())

    return Answers().eval()


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """neural-compressor logs every step, to a level that it reads from the environment."""
    before = os.environ.get("LOGLEVEL")
    os.environ["LOGLEVEL"] = "ERROR"
    try:
        with quiet():
            yield
    finally:
        if before is None:
            del os.environ["LOGLEVEL"]
        else:
            os.environ["LOGLEVEL"] = before
