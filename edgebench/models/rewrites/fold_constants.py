"""What a graph computes from constants alone is computed once, here.

onnxscript does it. Whatever it would store is no larger than what it replaces, or a thousand numbers: a
table that a graph generates to keep its file small stays generated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebench.models.rewrites.base import Pass

if TYPE_CHECKING:
    import onnx_ir as ir

_LARGEST_INPUT = 1 << 27  # numbers; the weights of any net are below
_LARGEST_OUTPUT = 1 << 10  # numbers; larger ones only in the place of larger constants


def _apply(model: ir.Model) -> int:
    from onnx_ir.passes import common  # noqa: PLC0415
    from onnxscript import optimizer  # noqa: PLC0415

    before = model.graph.num_nodes()
    optimizer.fold_constants(model, input_size_limit=_LARGEST_INPUT, output_size_limit=_LARGEST_OUTPUT)
    common.IdentityEliminationPass()(model)
    common.CommonSubexpressionEliminationPass()(model)
    common.RemoveUnusedNodesPass()(model)
    common.DeduplicateInitializersPass()(model)
    return int(before - model.graph.num_nodes())


PASS = Pass("fold_constants", "compute what depends on constants alone; join equal nodes", _apply)
