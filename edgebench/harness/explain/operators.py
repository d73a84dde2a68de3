"""The operators of one file: what each computes, from which neighbours, and in how many multiplications."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from edgebench.errors import ModelError
from edgebench.models.graph.macs import macs_by_node
from edgebench.models.graph.shapes import shapes_at

if TYPE_CHECKING:
    import onnx

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
PAIRS = (QUANTIZE, DEQUANTIZE)
CONVOLUTIONS = ("Conv", "ConvInteger", "QLinearConv")
# Where the weights stand among the inputs.
_WEIGHTS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "MatMul": 1, "MatMulInteger": 1} | {
    "Gemm": 1,
    "QLinearMatMul": 3,
}
Step = Callable[["Operator"], "list[Operator]"]
_FAR = 8  # steps from a kernel's node back to the operator that it computes


@dataclass(frozen=True)
class Operator:
    """One node of a file. ``number`` is its place; ``name`` the file's where ``named``, else made up.

    ``macs``: None where they cannot be counted. ``weights``: shape of the constant operand, for a
    convolution (out, in / groups, *kernel), and ``stored_as`` its type in the file, such as "uint8"; None
    without one.
    """

    number: int
    name: str
    kind: str
    macs: int | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: tuple[int, ...] | None = None
    stored_as: str | None = None
    groups: int = 1
    named: bool = True

    @property
    def is_pair(self) -> bool:
        """Whether it only converts between float and 8 bits."""
        return self.kind in PAIRS

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution in any spelling."""
        return self.kind in CONVOLUTIONS


@dataclass(frozen=True)
class Graph:
    """The operators of a file in its order. ``constants``: names of tensors that do not depend on the input.

    ``shapes``: of the tensors, as far as they are known at the input length.
    """

    operators: tuple[Operator, ...]
    constants: frozenset[str]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, model: onnx.ModelProto, *, samples: int) -> Graph:
        """Read a model at an input of ``samples``; without MACs where no shape can be inferred."""
        shapes: Mapping[str, tuple[int, ...]]
        counts: list[int | None]
        try:
            shapes, counts = shapes_at(model, samples=samples), macs_by_node(model, samples=samples)
        except ModelError:
            shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
            counts = [None] * len(model.graph.node)
        types = _stored_types(model)
        constants = {tensor.name for tensor in model.graph.initializer}
        operators = []
        for number, (node, macs) in enumerate(zip(model.graph.node, counts, strict=True)):
            if all(name in constants for name in node.input if name) and node.op_type not in ("If", "Loop"):
                constants |= set(node.output)
            place = _WEIGHTS.get(node.op_type, len(node.input))
            weights = node.input[place] if place < len(node.input) else ""
            operators.append(
                Operator(
                    number=number,
                    name=node.name or f"{node.op_type} {number}",
                    kind=node.op_type,
                    macs=macs,
                    inputs=tuple(node.input),
                    outputs=tuple(node.output),
                    weights=shapes.get(weights) if weights in constants else None,
                    stored_as=types.get(weights),
                    named=bool(node.name),
                    groups=next((a.i for a in node.attribute if a.name == "group"), 1),
                )
            )
        return cls(tuple(operators), frozenset(constants), shapes)

    @cached_property
    def _makers(self) -> dict[str, Operator]:
        return {name: operator for operator in self.operators for name in operator.outputs if name}

    @cached_property
    def _users(self) -> dict[str, list[Operator]]:
        found: dict[str, list[Operator]] = {}
        for operator in self.operators:
            for name in operator.inputs:
                found.setdefault(name, []).append(operator)
        return found

    def before(self, operator: Operator) -> list[Operator]:
        """What makes its inputs; constants have no maker here."""
        inputs = (name for name in operator.inputs if name not in self.constants)
        return [self._makers[name] for name in inputs if name in self._makers]

    def after(self, operator: Operator) -> list[Operator]:
        """What takes its outputs."""
        return [user for name in operator.outputs for user in self._users.get(name, ())]

    def before_pairs(self, operator: Operator) -> list[Operator]:
        """What makes its inputs, looking through conversions to 8 bits and back."""
        return list(self._through(operator, self.before))

    def after_pairs(self, operator: Operator) -> list[Operator]:
        """What takes its outputs, looking through conversions to 8 bits and back."""
        return list(self._through(operator, self.after))

    def _through(self, operator: Operator, step: Step) -> Iterator[Operator]:
        for other in step(operator):
            if other.is_pair:
                yield from self._through(other, step)
            else:
                yield other

    def quantized_inputs(self, operator: Operator) -> bool:
        """Whether every input that depends on the waveform comes from a DequantizeLinear."""
        made = self.before(operator)
        return bool(made) and all(other.kind == DEQUANTIZE for other in made)

    def quantized_output(self, operator: Operator) -> bool:
        """Whether its result goes into QuantizeLinear and nowhere else."""
        users = self.after(operator)
        return bool(users) and all(user.kind == QUANTIZE for user in users)

    def computed_by(self, number: int, kernel_kind: str) -> Operator | None:
        """The operator that a kernel computes, where the kernel is named after node ``number``.

        A kernel that also applies what follows (Relu, a conversion) bears that node's number, so the way
        leads back to the operator of the kernel's own kind.
        """
        if not 0 <= number < len(self.operators):
            return None
        start = operator = self.operators[number]
        family = next((word for word in ("Conv", "MatMul", "Gemm") if word in kernel_kind), None)
        if family is None:
            return start
        for _ in range(_FAR):
            if family in operator.kind or (family == "MatMul" and operator.kind == "Gemm"):
                return operator
            made = self.before(operator)
            if not made:
                break
            operator = made[0]
        return start


def _stored_types(model: onnx.ModelProto) -> dict[str, str]:
    """Name of a stored tensor, or of what a DequantizeLinear makes of one -> its type in the file."""
    import onnx  # noqa: PLC0415

    found = {t.name: onnx.TensorProto.DataType.Name(t.data_type).lower() for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == DEQUANTIZE and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found
