"""The table of rewrites, in the order in which they serve each other, and what applies several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgebench.errors import ModelError, UsageError, nearest
from edgebench.models.rewrites import (
    affine,
    conv_2d,
    dead_channels,
    fold_constants,
    gelu,
    generated_tables,
    join_heads,
    layout,
    mean_shift,
    pad_channels,
    pad_last,
    patch_channels,
    pool_first,
    reshapes,
    softmax_bias,
    softmax_bounded,
    softmax_last,
    strip_names,
    sum_by_ones,
    sum_into_product,
)
from edgebench.models.rewrites.base import OLDEST_OPSET, Pass, apply_pass, opset_of, require_packages

if TYPE_CHECKING:
    import onnx

PASSES: Mapping[str, Pass] = MappingProxyType(
    {
        each.name: each
        for each in (
            fold_constants.PASS,
            gelu.PASS,
            reshapes.PASS,
            softmax_bias.PASS,
            mean_shift.PASS,
            join_heads.PASS,
            sum_into_product.PASS,
            affine.PASS,
            dead_channels.PASS,
            conv_2d.PASS,
            layout.LAST,
            layout.FIRST,
            softmax_last.PASS,
            pool_first.PASS,
            softmax_bounded.PASS,
            sum_by_ones.PASS,
            pad_channels.POOLED,
            pad_channels.PASS,
            pad_last.PASS,
            patch_channels.PASS,
            generated_tables.PASS,
            strip_names.PASS,
        )
    }
)
# All but what raises the opset, and what pays on some processors or beside 8 bits alone.
_CHOSEN_BY_MEASURE = (
    "gelu",
    "time_first",
    "softmax_bounded",
    "pad_pooled",
    "pad_channels",
    "pad_last",
    "patch_channels",
    "sum_by_ones",
)
DEFAULT = tuple(name for name in PASSES if name not in _CHOSEN_BY_MEASURE)


def with_pass(name: str, passes: Sequence[str] = DEFAULT) -> tuple[str, ...]:
    """``passes`` with one more in its place in the table."""
    order = {each: at for at, each in enumerate(PASSES)}
    return tuple(sorted([*passes, name], key=lambda each: order[each.partition(":")[0]]))


@dataclass(frozen=True)
class Rewritten:
    """A model after passes, and the number of places that each changed, in the order applied."""

    model: onnx.ModelProto
    places: Mapping[str, int]


def pass_named(name: str) -> Pass:
    """Look a pass up; ``pad_channels:8`` is one with its number. Raises :class:`UsageError`."""
    plain, colon, number = name.partition(":")
    if plain not in PASSES:
        raise UsageError(f"rewrite {plain!r} is not known: {nearest(plain, PASSES)}.")
    found = PASSES[plain]
    if not colon:
        return found
    if found.with_number is None or not number.isdecimal() or int(number) < 1:
        raise UsageError(
            f"rewrite {name!r}: a colon is followed by a whole number above 0, and only "
            f"{', '.join(each.name for each in PASSES.values() if each.with_number)} takes one."
        )
    return replace(found, name=name, apply=found.with_number(int(number)))


def rewrite(model: onnx.ModelProto, passes: Sequence[str] = DEFAULT) -> Rewritten:
    """The float model after passes, applied in the order given; ``model`` itself stays as it is.

    Raises UsageError for an unknown pass and where the extra ``quantize`` is not installed, ModelError for a
    file of an opset below 13 and where a pass fails, which leaves nothing half applied.
    """
    chosen = [pass_named(name) for name in passes]
    require_packages()
    if (found := opset_of(model)) < OLDEST_OPSET:
        raise ModelError(
            f"the rewrites read opset {OLDEST_OPSET} and newer, and this file has {found}. Export it again "
            "with a newer opset, or convert it with onnx.version_converter."
        )
    places: dict[str, int] = {}
    for each in chosen:
        model, changed = apply_pass(model, each)
        places[each.name] = places.get(each.name, 0) + changed
    return Rewritten(model, MappingProxyType(places))
