"""What a rewrite is: a pass that changes how a float graph computes its answers, and not the answers.

A pass finds its places by operators, shapes and values, never by names, so it serves anybody's net. It works
on a copy. The copy is given back only after onnx's checker took it, so a pass changes a model whole or not
at all.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebench.errors import ModelError, UsageError
from edgebench.models.graph.shapes import outline
from edgebench.models.rewrites.graph import Rule, used

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

NEEDS = ("onnx_ir", "onnxscript")
_IR_OF_OPSET = {20: 9}  # what onnx wrote beside it
_SWEEPS = 100  # and one a node: a rule that ends has always ended in far fewer
OLDEST_OPSET = 13  # before it, Softmax flattened its input and axes were attributes everywhere


@dataclass(frozen=True)
class Pass:
    """A rewrite.

    ``apply(model)`` changes the model in place and gives the number of places that it changed. ``summary``
    is one line for lists. ``opset``, where given, is the oldest in which the pass can say what it does: a
    file of an older one is raised. ``with_number(number)`` gives an ``apply`` for a pass that has a number to
    choose, written behind its name: ``pad_channels:8``.
    """

    name: str
    summary: str
    apply: Callable[[ir.Model], int]
    opset: int | None = None
    with_number: Callable[[int], Callable[[ir.Model], int]] | None = None


def require_packages() -> None:
    """Raise UsageError where a package of the extra ``quantize`` is not installed."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"rewriting a graph needs {', '.join(missing)}, which this environment does not have. "
            "Install the extra: pip install 'edgebench[quantize]'."
        )


def everywhere(*rules: Rule) -> Callable[[ir.Model], int]:
    """An ``apply`` that tries rules at every node of the graph until none of them changes anything.

    A rule looks at one node whose result somebody reads, changes the graph around it and says whether it
    did. What it leaves unused is removed, and shapes are found anew, after every sweep. Rules that would
    undo each other for ever are stopped with a ModelError.
    """

    def apply(model: ir.Model) -> int:
        changed, left = 0, _SWEEPS + len(model.graph)
        while found := sum(_swept(rule, model) for rule in rules):
            changed, left = changed + found, left - 1
            if not left:
                raise ModelError("a rewrite of this graph does not end. Nothing was changed; leave it out.")
        return changed

    return apply


def _swept(rule: Rule, model: ir.Model) -> int:
    from onnx_ir.passes import common  # noqa: PLC0415

    found = 0
    for node in list(model.graph):
        if used(node) and rule(node):
            found += 1
            # What nobody reads any more must not count as a reader of what is left.
            common.RemoveUnusedNodesPass()(model)
    if found:
        tidy(model)
    return found


def tidy(model: ir.Model) -> None:
    """Remove what nobody reads, and find the shapes of new values."""
    from onnx_ir.passes import common  # noqa: PLC0415

    common.RemoveUnusedNodesPass()(model)
    # A shape that cannot be found is no fault here: rules that need it do not apply.
    logger = logging.getLogger("onnx_ir")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        common.ShapeInferencePass(check_type=False, strict_mode=False)(model)
    finally:
        logger.setLevel(level)


def apply_pass(model: onnx.ModelProto, chosen: Pass) -> tuple[onnx.ModelProto, int]:
    """The model after a pass and the number of places changed; with 0, the very same model.

    ``model`` itself is left as it is. Raises ModelError where the checker refuses what the pass made.
    """
    import onnx  # noqa: PLC0415
    import onnx_ir as ir  # noqa: PLC0415
    from onnx_ir.passes import common  # noqa: PLC0415

    graph = ir.from_proto(_copied(model, chosen.opset or 0))
    common.LiftConstantsToInitializersPass(lift_all_constants=False, size_limit=0)(graph)
    tidy(graph)
    try:
        places = chosen.apply(graph)
    except ModelError as error:
        raise ModelError(f"rewrite {chosen.name!r}: {error}") from None
    if not places:
        return model, 0
    tidy(graph)
    common.TopologicalSortPass()(graph)
    after: onnx.ModelProto = ir.to_proto(graph)
    del after.graph.value_info[:]
    try:
        onnx.checker.check_model(outline(after), full_check=True)
    except Exception as error:  # the checker raises classes of its own, and of C++
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"rewrite {chosen.name!r} made a graph that onnx refuses: {said[0]}. Nothing was changed; leave "
            "this pass out."
        ) from None
    return after, places


def _copied(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy of the file, at least of an opset: onnx_ir shares tensors with the file, names included."""
    import onnx  # noqa: PLC0415

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if opset_of(model) >= opset:
        return copy
    try:
        copy = onnx.version_converter.convert_version(copy, opset)
    except Exception as error:  # of C++
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"the file cannot be raised to opset {opset}: {said}. Nothing was changed."
        ) from None
    copy.ir_version = max(model.ir_version, _IR_OF_OPSET[opset])
    return copy


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators that a file uses; 0 where it uses none."""
    return max((int(e.version) for e in model.opset_import if e.domain in ("", "ai.onnx")), default=0)
