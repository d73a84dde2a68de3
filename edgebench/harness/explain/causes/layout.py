"""Time that goes into moving numbers from one memory order into another."""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, listed
from edgebench.harness.explain.side import total_ns

MOVES = ("Transpose", "ReorderInput", "ReorderOutput")
_SMALL = 0.01


def layout_changes(case: Case) -> Cause | None:
    """Transpose, ReorderInput and ReorderOutput, where they take more time than in the fp32 file."""
    kernels = case.child.of_kinds(*MOVES)
    spent, before = total_ns(kernels), total_ns(case.parent.of_kinds(*MOVES))
    if spent - before < _SMALL * case.child.trace.time_ns:
        return None
    added = [kernel for kernel in kernels if kernel in case.child.own_kernels]
    slowest = max(kernels, key=lambda kernel: kernel.time_ns)
    shape = "x".join(map(str, slowest.inputs[0][1])) if slowest.inputs else "unknown"
    numbers = {id(k): n for n, own in case.child.kernels.items() for k in own}
    names = [case.child.graph.operators[numbers[id(k)]].name for k in kernels if id(k) in numbers]
    return Cause(
        code="layout_changes",
        title="Changes of memory layout",
        operators=tuple(names),
        numbers=tuple(numbers[id(k)] for k in kernels if id(k) in numbers),
        time_ns=spent,
        gain_ns=spent - before,
        gain_from="their time minus that of the layout changes of the fp32 file",
        why=(
            f"{len(kernels)} kernels only reorder memory, {len(added)} of them added by the runtime"
            f"{f' ({listed(names)} are in the file)' if names else ''}; the slowest moves {shape}. The fp32 "
            f"file spends {before / 1e3:,.0f} µs on it."
        ),
        advice=(
            "Keep one order of axes through the int8 part (the int8 convolutions want channels last inside), "
            "or move a Transpose to where the tensor is smallest."
        ),
    )
