"""One file on the device: its operators, and the kernels that the runtime took for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from edgebench.harness.explain.numbered import number_in
from edgebench.harness.explain.operators import Graph, Operator
from edgebench.harness.explain.trace import Kernel, Trace


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
