"""Stored tables that a few operators can compute are computed: smaller files, and the same work.

A runtime folds them when it loads the file. Each table is computed here first, by onnxruntime, and stays
stored where the numbers are not the same up to a float's rounding, or where nothing would be saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebench.models.rewrites.base import Pass
from edgebench.models.rewrites.cosines import Cosines, find_cosines
from edgebench.models.rewrites.graph import constant, emit, replace
from edgebench.models.rewrites.triangles import Triangles, find_triangles

if TYPE_CHECKING:
    import onnx_ir as ir

_CLOSE = 1e-6  # of the largest number
_LEAST_BYTES = 1024
_FINDERS = (find_cosines, find_triangles)


def _apply(model: ir.Model) -> int:
    changed = 0
    for value in list(model.graph.initializers.values()):
        table = constant(value)
        if (
            table is None
            or table.dtype != np.float32
            or table.nbytes < _LEAST_BYTES
            or not value.uses()
            or value.is_graph_output()
        ):
            continue
        found = _recipe(table)
        if found is None:
            continue
        recipe, turned = found
        if _costs(recipe, table, turned, model) < table.nbytes:
            replace(value, _emit(recipe, table.shape, turned, next(iter(model.graph))))
            changed += 1
    return changed


def _recipe(table: NDArray[np.float32]) -> tuple[Cosines | Triangles, bool] | None:
    """How a table can be computed, and whether its transpose is what is computed."""
    matrix = table.reshape([size for size in table.shape if size != 1])
    if matrix.ndim != 2:
        return None
    for turned in (False, True):
        exact = (matrix.T if turned else matrix).astype(np.float64)
        for finder in _FINDERS:
            if (found := finder(exact)) is not None:
                return found, turned
    return None


def _emit(recipe: Cosines | Triangles, shape: tuple[int, ...], turned: bool, before: ir.Node) -> ir.Value:
    table = recipe.emit(before)
    if turned:
        table = emit(before, "Transpose", [table], {"perm": [1, 0]})
    added = [axis for axis, size in enumerate(shape) if size == 1]
    return emit(before, "Unsqueeze", [table, np.array(added, np.int64)]) if added else table


def _costs(recipe: Cosines | Triangles, table: NDArray[np.float32], turned: bool, model: ir.Model) -> float:
    """Bytes of the operators that compute a table; infinite where they compute another one."""
    import onnx_ir as ir  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    last = ir.node("Identity", [ir.val("none")])
    graph = ir.Graph([], [], nodes=[last], opset_imports=dict(model.opset_imports), name="g")
    value = _emit(recipe, table.shape, turned, last)
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(table.shape)
    graph.remove(last)
    graph.outputs.append(value)
    data = ir.to_proto(ir.Model(graph, ir_version=model.ir_version)).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (computed,) = session.run(None, {})
    if np.abs(computed - table).max() > _CLOSE * np.abs(table).max():
        return float("inf")
    return float(len(data))


PASS = Pass(
    "generated_tables", "compute tables of cosines and of mel triangles instead of storing them", _apply
)
