"""Which nodes of a graph a scheme quantizes, and which parts stay float: by structure, never by name.

Defaults of quantizers destroy nets for speech: a power spectrum spans more than 8 bits hold, and a softmax
over a thousand frames gives values near 1e-3 that one scale rounds to zero. Each part below is a rule that
finds such nodes in any graph. The list of rules is a setting of a scheme (``float_parts``).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgebench.errors import ModelError
from edgebench.models.graph.tensors import constants
from edgebench.models.quantization.scheme import Settings

if TYPE_CHECKING:
    import onnx

PRODUCTS = ("MatMul", "Gemm")
CONVOLUTIONS = ("Conv", "ConvTranspose")
WEIGHTED = (*CONVOLUTIONS, *PRODUCTS)
_SPECTRA = ("Log", "STFT", "DFT")
# A graph before one of these has no learnt layer yet, unless one of those below stands in it.
_ACTIVATIONS = {
    *("Elu", "Erf", "GRU", "Gelu", "HardSigmoid", "HardSwish", "LSTM", "LeakyRelu", "PRelu", "Relu"),
    *("Selu", "Sigmoid", "Softmax", "Softplus", "Tanh"),
}
NARROW = 4  # input channels: int8 kernels of convolutions take them in fours
_SMALL_HEAD = 1 / 20  # of all weights of products


class Graph:
    """A graph with its edges: who makes a value, who takes it, what is stored."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.outputs = [value.name for value in model.graph.output]
        self.producers = {name: node for node in self.nodes for name in node.output if name}
        self.consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        stored = {tensor.name: tensor for tensor in model.graph.initializer} | constants(model)
        self.shapes = {name: tuple(tensor.dims) for name, tensor in stored.items()}

    def before(self, names: Iterable[str]) -> dict[str, onnx.NodeProto]:
        """Nodes that the values ``names`` depend on, by node name."""
        found: dict[str, onnx.NodeProto] = {}
        left = list(names)
        while left:
            node = self.producers.get(left.pop())
            if node is not None and node.name not in found:
                found[node.name] = node
                left.extend(node.input)
        return found

    def weight_shape(self, node: onnx.NodeProto) -> tuple[int, ...] | None:
        """The shape of the stored weight of a product or convolution; None where it is computed."""
        if node.op_type not in WEIGHTED or len(node.input) < 2:
            return None
        return self.shapes.get(node.input[1])


def float_nodes(model: onnx.ModelProto, settings: Settings) -> set[str]:
    """Names of the nodes that ``float_parts`` (rules) and ``float_nodes`` (patterns of names) keep float.

    Every node must have a name.
    """
    graph = Graph(model)
    kept: set[str] = set()
    for part in settings.get("float_parts", ()):
        kept |= PARTS[part](graph)
    for pattern in settings.get("float_nodes", ()):
        kept |= {node.name for node in graph.nodes if fnmatch.fnmatch(node.name, pattern)}
    return kept


def nodes_to_quantize(
    model: onnx.ModelProto, settings: Settings, *, also_float: Collection[str] = ()
) -> list[str]:
    """Names of the nodes of ``operators`` that a scheme quantizes, in the graph's order.

    Nodes of ``also_float`` (names) stay float besides those that the settings keep. Products and
    convolutions are taken where their weight is stored in the file. Other operators are taken where
    everything that they read comes from a convolution that is taken: between two of those they pass 8 bits
    on. Raises ModelError where there is nothing to quantize.
    """
    graph = Graph(model)
    kept = float_nodes(model, settings) | set(also_float)
    chosen: set[str] = set()
    passing: set[str] = set()  # values that are 8 bits already
    for node in graph.nodes:
        if node.op_type not in settings["operators"] or node.name in kept:
            continue
        if node.op_type in WEIGHTED:
            if graph.weight_shape(node) is None:
                continue
            if node.op_type in CONVOLUTIONS:
                passing.update(node.output)
        else:
            read = [name for name in node.input if name and name not in graph.shapes]
            if not read or not passing.issuperset(read):
                continue
            passing.update(node.output)
        chosen.add(node.name)
    found = [node.name for node in graph.nodes if node.name in chosen]
    if not any(node.op_type in WEIGHTED for node in graph.nodes if node.name in chosen):
        raise nothing_to_quantize(graph, settings)
    return found


def nothing_to_quantize(graph: Graph, settings: Settings) -> ModelError:
    """What a scheme says of a graph that has none of its operators."""
    wanted = ", ".join(name for name in settings["operators"] if name in WEIGHTED)
    kinds = ", ".join(sorted({node.op_type for node in graph.nodes}))
    return ModelError(
        f"this file has no node that this scheme would quantize: it looks for {wanted} with a stored weight, "
        f"outside of what stays float ({', '.join(settings.get('float_parts', ())) or 'nothing'}). The "
        f"file's operators: {kinds}."
    )


def _front_end(graph: Graph) -> set[str]:
    """What computes a spectrogram: everything up to the first logarithm, where no layer stands before it."""
    for node in graph.nodes:
        if node.op_type in _SPECTRA:
            found = graph.before(node.output)
            if not any(other.op_type in _ACTIVATIONS for other in found.values()):
                return set(found)
    return set()


def _softmax(graph: Graph) -> set[str]:
    """Every softmax, and what follows it up to the next product."""
    found: set[str] = set()
    left = [node for node in graph.nodes if node.op_type in ("Softmax", "LogSoftmax")]
    while left:
        node = left.pop()
        if node.name in found or node.op_type in WEIGHTED:
            continue
        found.add(node.name)
        left.extend(after for name in node.output for after in graph.consumers.get(name, []))
    return found


def _narrow_convolutions(graph: Graph) -> set[str]:
    """Convolutions that read fewer than four channels, such as those of a waveform or a spectrogram."""
    found = set()
    for node in graph.nodes:
        shape = graph.weight_shape(node)
        if node.op_type != "Conv" or shape is None:
            continue
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        if shape[1] * groups < NARROW:
            found.add(node.name)
    return found


def _heads(graph: Graph) -> set[str]:
    """The last product before each output, where it is small: its result is the answer."""
    sizes = {node.name: _elements(graph.weight_shape(node)) for node in graph.nodes}
    total = sum(sizes.values())
    found: set[str] = set()
    left, seen = list(graph.outputs), set()
    while left:
        name = left.pop()
        node = graph.producers.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type not in WEIGHTED:
            left.extend(node.input)
        elif sizes[node.name] < _SMALL_HEAD * total:
            found.add(node.name)
    return found


def _elements(shape: tuple[int, ...] | None) -> int:
    total = 1 if shape else 0
    for size in shape or ():
        total *= size
    return total


PARTS: Mapping[str, Callable[[Graph], set[str]]] = MappingProxyType(
    {
        "front_end": _front_end,
        "softmax": _softmax,
        "narrow_convolutions": _narrow_convolutions,
        "heads": _heads,
    }
)
ALL_PARTS = tuple(PARTS)
