"""The last nodes of a graph as a function in torch, which can be differentiated by any stored tensor.

Its answers are compared with onnxruntime's before anybody learns from them: an operator that this reading
misunderstands is found out, not learnt around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edgebench.errors import ModelError
from edgebench.models.quantization.sites import attributes
from edgebench.models.quantization.torch_operators import rules

if TYPE_CHECKING:
    import onnx
    from torch import Tensor

Values = Mapping[str, "Tensor"]
Change = Callable[[str, "Tensor"], "Tensor"]


class TorchGraph:
    """The nodes of ``model`` from ``first`` on.

    Raises ModelError where one of them has an operator without a rule.
    """

    def __init__(self, model: onnx.ModelProto, first: int = 0) -> None:
        import torch  # noqa: PLC0415
        from onnx import numpy_helper  # noqa: PLC0415

        known = rules()
        nodes = list(model.graph.node)[first:]
        foreign = {node.op_type for node in nodes if not has_rule(node)}
        if foreign:
            raise ModelError(
                f"learning needs the gradients of the net behind its front end, and for {_joined(foreign)} "
                "there is no rule. The packed schemes find their codes without gradients."
            )
        self._steps = [
            (known[node.op_type], {**attributes(node), "outputs": len(node.output)}, node) for node in nodes
        ]
        used = {name for node in nodes for name in node.input}
        self.stored: dict[str, Tensor] = {
            tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
            for tensor in model.graph.initializer
            if tensor.name in used
        }
        self.outputs = [value.name for value in model.graph.output]

    def __call__(
        self, given: Values, weights: Values | None = None, change: Change | None = None
    ) -> list[Tensor]:
        """The outputs, of the values ``given``.

        ``weights`` stand in for stored tensors. ``change(name, value)`` gives what is read in place of each
        value that is given or computed.
        """
        made = dict(given)
        if change is not None:
            made = {name: change(name, value) for name, value in made.items()}
        values: dict[str, Any] = {**self.stored, **(weights or {}), **made}
        for rule, known, node in self._steps:
            found = rule(known, [values[name] if name else None for name in node.input])
            found = found if isinstance(found, Sequence) else [found]
            for name, value in zip(node.output, found, strict=False):
                values[name] = value if change is None else change(name, value)
        return [values[name] for name in self.outputs]


def has_rule(node: onnx.NodeProto) -> bool:
    """Whether a node can be computed in torch."""
    return node.op_type in rules() and node.domain in ("", "ai.onnx")


def _joined(names: set[str]) -> str:
    return ", ".join(sorted(names))
