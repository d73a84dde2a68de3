"""The table of rewrites, in the order in which they serve each other, and what applies several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgebench.errors import ModelError, UsageError, nearest
from edgebench.models.rewrites import fold_constants, softmax_bias, strip_names
from edgebench.models.rewrites.base import OLDEST_OPSET, Pass, apply_pass, require_packages

if TYPE_CHECKING:
    import onnx

PASSES: Mapping[str, Pass] = MappingProxyType(
    {module.PASS.name: module.PASS for module in (fold_constants, softmax_bias, strip_names)}
)
# Everything that keeps opset and IR.
DEFAULT = ("fold_constants", "softmax_bias", "strip_names")


@dataclass(frozen=True)
class Rewritten:
    """A model after passes, and the number of places that each changed, in the order applied."""

    model: onnx.ModelProto
    places: Mapping[str, int]


def pass_named(name: str) -> Pass:
    """Look a pass up. Raises :class:`UsageError` with the nearest names."""
    if name not in PASSES:
        raise UsageError(f"rewrite {name!r} is not known: {nearest(name, PASSES)}.")
    return PASSES[name]


def rewrite(model: onnx.ModelProto, passes: Sequence[str] = DEFAULT) -> Rewritten:
    """The float model after passes, applied in the order given; ``model`` itself stays as it is.

    Raises UsageError for an unknown pass and where the extra ``quantize`` is not installed, ModelError for a
    file of an opset below 13 and where a pass fails, which leaves nothing half applied.
    """
    chosen = [pass_named(name) for name in passes]
    require_packages()
    found = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if found < OLDEST_OPSET:
        raise ModelError(
            f"the rewrites read opset {OLDEST_OPSET} and newer, and this file has {found}. Export it again "
            "with a newer opset, or convert it with onnx.version_converter."
        )
    places: dict[str, int] = {}
    for each in chosen:
        model, changed = apply_pass(model, each)
        places[each.name] = places.get(each.name, 0) + changed
    return Rewritten(model, MappingProxyType(places))
