"""One file on the device: its operators, and the kernels that the runtime took for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from edgebench.harness.explain.numbered import number_in
from edgebench.harness.explain.operators import Graph, Operator
from edgebench.harness.explain.trace import Kernel, Trace

NOT_QUANTIZED = "not quantized in the file"
_BYTES = ("int8", "uint8")


@dataclass(frozen=True)
class Side:
    """A file with its trace. ``key``: the artifact's."""

    key: str
    graph: Graph
    trace: Trace

    @cached_property
    def kernels(self) -> dict[int, list[Kernel]]:
        """Number of an operator -> the kernels that compute it."""
        found: dict[int, list[Kernel]] = {}
        for kernel, operator in self._assigned:
            if operator is not None:
                found.setdefault(operator.number, []).append(kernel)
        return found

    @cached_property
    def own_kernels(self) -> list[Kernel]:
        """Kernels of no operator of the file: added by the runtime, or fused under a name of its own."""
        return [kernel for kernel, operator in self._assigned if operator is None]

    @cached_property
    def _assigned(self) -> list[tuple[Kernel, Operator | None]]:
        outputs = {name: o.number for o in self.graph.operators for name in o.outputs if name}
        found = []
        for kernel in self.trace.kernels:
            number = number_in(kernel.name)
            if number is None:  # named after an output of the file, which keeps its name
                number = outputs.get(kernel.name.removesuffix("_nchwc"))
            found.append((kernel, None if number is None else self.graph.computed_by(number, kernel.kind)))
        return found

    def time_ns(self, operator: Operator) -> float | None:
        """What an operator takes; None where it has no kernel of its own (folded, or fused into another)."""
        kernels = self.kernels.get(operator.number)
        return sum(kernel.time_ns for kernel in kernels) if kernels else None

    def main_kernel(self, operator: Operator) -> Kernel | None:
        """The kernel that takes most of an operator's time."""
        return max(self.kernels.get(operator.number, ()), key=lambda kernel: kernel.time_ns, default=None)

    def in_int8(self, operator: Operator) -> bool:
        """Whether the runtime computes it on 8-bit numbers."""
        kernel = self.main_kernel(operator)
        return kernel is not None and kernel.in_int8

    def why_not_int8(self, operator: Operator) -> str | None:
        """Why the runtime computes an operator that multiplies in float; None where it does not."""
        kernel = self.main_kernel(operator)
        if not operator.macs or kernel is None or kernel.in_int8:
            return None
        read = self.graph.quantized_inputs(operator)
        in_bytes = operator.stored_as in _BYTES
        if not in_bytes and not read:
            return NOT_QUANTIZED
        if not read:
            floats = dict.fromkeys(o.kind for o in self.graph.before(operator) if not o.is_pair)
            return f"its input is float, from {', '.join(floats) or 'the model input'}"
        if operator.weights is not None and not in_bytes:
            return "its weights are stored in float"
        if operator.is_convolution and not self.graph.quantized_output(operator):
            return "its result stays float, and the int8 convolution wants QuantizeLinear behind it"
        return "the runtime did not fuse the conversions around it"

    def int8_share_of_macs(self) -> float | None:
        """Share of the counted multiplications that are computed on 8-bit numbers."""
        total = sum(operator.macs or 0 for operator in self.graph.operators)
        inside = sum(operator.macs or 0 for operator in self.graph.operators if self.in_int8(operator))
        return inside / total if total else None

    def int8_share_of_time(self) -> float:
        """Share of the kernels' time that is spent computing on 8-bit numbers."""
        inside = total_ns(kernel for kernel in self.trace.kernels if kernel.in_int8)
        return inside / self.trace.time_ns if self.trace.time_ns else 0.0

    def of_kinds(self, *kinds: str) -> list[Kernel]:
        """The kernels of these kinds."""
        return [kernel for kernel in self.trace.kernels if kernel.kind in kinds]


def total_ns(kernels: Iterable[Kernel]) -> float:
    """What kernels take together."""
    return sum(kernel.time_ns for kernel in kernels)
