"""Weights of a few levels in packed codes, decoded when a session starts; arithmetic stays float.

Storage and arithmetic are independent: a net of ternary weights computes as fast as its fp32 parent, from a
tenth of the bytes. See ``gptq`` for the codes and ``packing`` for the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.models.quantization.coding import Coded, code_weights
from edgebench.models.quantization.packing import LEVELS, Prologue, add_codes, add_numbers
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.source import finished, source_model
from edgebench.models.rewrites import DEFAULT, rewrite, with_pass
from edgebench.models.rewrites.base import NEEDS

if TYPE_CHECKING:
    import onnx


def packed(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    """``parent`` with packed weights; ``waveforms`` (samples,) tell what the weights are multiplied with."""
    model = opened(parent, settings)
    coded = code_weights(model, waveforms, settings)
    prologue = Prologue(names_of(model))
    numbers = [array for code in coded for array in numbers_of(code)]
    names = iter(add_numbers(prologue, numbers))
    decoded = decoded_codes(prologue, coded, "FLOAT")
    renamed: dict[str, str] = {}
    for code, flat in zip(coded, decoded, strict=True):
        renamed[code.site.weight] = float_weight(prologue, code, flat, next(names))
        if code.site.bias is not None:
            renamed[code.site.bias] = next(names)
    return written(model, prologue, renamed, settings)


def numbers_of(code: Coded) -> list[NDArray[Any]]:
    """The scales of a site and its bias, if it has one."""
    return [code.scales] if code.bias is None else [code.scales, code.bias]


def float_weight(prologue: Prologue, code: Coded, flat: str, scale: str, *, cast: bool = False) -> str:
    """Add what makes the weight of its ``flat`` codes and its scales; ``cast``: from int8 codes."""
    import onnx  # noqa: PLC0415

    shaped = prologue.node("Reshape", flat, np.array(code.codes.shape, np.int64))
    shaped = prologue.node("Cast", shaped, to=onnx.TensorProto.FLOAT) if cast else shaped
    column = prologue.node("Reshape", scale, np.array(code.column, np.int64))
    weight = prologue.node("Mul", shaped, column)
    return prologue.node("Pad", weight, np.array(code.missing, np.int64)) if any(code.missing) else weight


def opened(parent: Path, settings: Settings) -> onnx.ModelProto:
    """The parent's graph after exact rewrites, with all constants as stored tensors."""
    model = source_model(parent)
    del model.metadata_props[:]  # the parent's manifest
    return rewritten(model, [name for name in settings["passes"] if name not in _AFTERWARDS])


def rewritten(model: onnx.ModelProto, passes: Sequence[str]) -> onnx.ModelProto:
    """The model after passes; the very same one without any, for which no package is needed."""
    return rewrite(model, passes).model if passes else model


def names_of(model: onnx.ModelProto) -> set[str]:
    """Every name of a value in the graph."""
    found = {value.name for value in [*model.graph.input, *model.graph.output]}
    found.update(tensor.name for tensor in model.graph.initializer)
    for node in model.graph.node:
        found.update(node.input)
        found.update(node.output)
    return found


def decoded_codes(prologue: Prologue, coded: Sequence[Coded], kind: str) -> list[str]:
    """The names of each one's flat codes, decoded together with all others of the same levels."""
    import onnx  # noqa: PLC0415

    names = [""] * len(coded)
    for levels in sorted({code.grid.levels for code in coded}):
        group = [at for at, code in enumerate(coded) if code.grid.levels == levels]
        flat = add_codes(
            prologue,
            [coded[at].codes for at in group],
            coded[group[0]].grid,
            onnx.TensorProto.DataType.Value(kind),
        )
        for at, name in zip(group, flat, strict=True):
            names[at] = name
    return names


def written(
    model: onnx.ModelProto, prologue: Prologue, renamed: Mapping[str, str], settings: Settings
) -> bytes:
    """The bytes of the model: the prologue, then the graph, which reads other values by ``renamed``."""
    made = replaced(model, [*prologue.nodes, *model.graph.node], prologue.tensors, renamed)
    return finished(rewritten(made, [name for name in settings["passes"] if name == STRIP_NAMES]), model)


def replaced(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    more: Sequence[onnx.TensorProto],
    renamed: Mapping[str, str],
) -> onnx.ModelProto:
    """A copy of the model with other ``nodes``, ``more`` stored tensors, and values read by ``renamed``."""
    import onnx  # noqa: PLC0415

    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.initializer[:], made.graph.value_info[:]
    made.graph.node.extend(nodes)
    for node in made.graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = renamed.get(name, name)
        if node.op_type == "Conv":  # the weight's shape says it
            kept = [attribute for attribute in node.attribute if attribute.name != "kernel_shape"]
            del node.attribute[:]
            node.attribute.extend(kept)
    used = {name for node in made.graph.node for name in node.input}
    used.update(value.name for value in made.graph.output)
    stored = {tensor.name: tensor for tensor in [*model.graph.initializer, *more] if tensor.name in used}
    made.graph.initializer.extend(stored.values())
    return made


STRIP_NAMES = "strip_names"
PROVED = ("softmax_bounded", "sum_by_ones")
# Passes that run behind the quantization: what is proved of codes holds there, and names are there to strip.
_AFTERWARDS = (*PROVED, STRIP_NAMES)
LEAST_DB = (10.0, 15.0, 20.0, 25.0, 30.0, 35.0)  # what a search may ask of measured levels
# On validation speakers packed_ternary_int8 of Wav2Small lost .011 of UA with 60 clips and .005 with 240.
CLIPS = 240
PASSES = (
    *(name for name in DEFAULT if name not in ("generated_tables", STRIP_NAMES)),
    "generated_tables",
    STRIP_NAMES,
)
_CHOICES = {"passes": (PASSES, with_pass("pad_pooled:16", PASSES))}


def by_kind(convolutions: int, products: int, *, first: int) -> Settings:
    """Levels of convolutions and of products, of the first site, and 255 of the last ones."""
    return settings(
        convolution_levels=convolutions, product_levels=products, first_levels=first, head_levels=255
    )


def measured(least_db: float, *, most: int) -> Settings:
    """Levels chosen at each site, up to ``most``, for answers ``least_db`` clear of the rounding's noise."""
    return settings(least_db=least_db, most_levels=most)


def packed_scheme(
    name: str,
    summary: str,
    quantize: Callable[[Path, Sequence[Waveform], Settings], bytes],
    levels: Settings,
    *,
    arithmetic: Settings,
    choices: Mapping[str, tuple[Any, ...]],
    allowed: Mapping[str, tuple[Any, ...]],
) -> Scheme:
    """A row of the table: ``levels`` by :func:`by_kind` or :func:`measured`, and what computes with them."""
    return Scheme(
        name=name,
        summary=summary,
        quantize=quantize,
        settings=settings(**levels, **arithmetic),
        calibrated=True,
        clips=CLIPS,
        needs=NEEDS,
        extra="quantize",
        allowed=allowed,
        choices=choices,
    )


def level_choices(most: int) -> dict[str, tuple[Any, ...]]:
    """What a search may give to the levels by kind."""
    known = tuple(levels for levels in LEVELS if levels <= most)
    return {"convolution_levels": known, "product_levels": known}


def _scheme(name: str, summary: str, levels: Settings, **choices: tuple[Any, ...]) -> Scheme:
    return packed_scheme(
        name,
        f"{summary}, by GPTQ; float arithmetic",
        packed,
        levels,
        arithmetic=settings(arithmetic="float32", passes=PASSES),
        choices=choices,
        allowed={"arithmetic": ("float32",)},
    )


# The rows by kind differ in their levels alone, so that a search varies those of one and tries the others.
SCHEMES = (
    _scheme("packed8", "weights of 255 levels", by_kind(255, 255, first=255)),
    _scheme("packed_mixed", "convolutions of 127 levels, products of 11", by_kind(127, 11, first=255)),
    _scheme(
        "packed_ternary",
        "convolutions of 37 levels, products of 3",
        by_kind(37, 3, first=255),
        **level_choices(255),
        **_CHOICES,
    ),
    _scheme(
        "packed_measured",
        "levels of each weight by measurement",
        measured(25.0, most=255),
        least_db=LEAST_DB,
        **_CHOICES,
    ),
)
