"""Packed codes (see ``packed``) in 8-bit arithmetic: decoded to int8, the codes are multiplied as they are.

The file holds pairs of QuantizeLinear and DequantizeLinear around convolutions and products, which
onnxruntime computes in integers. Weights have at most 127 levels: without VNNI the products of unsigned by
signed bytes are added in 16 bits, and two of 255 * 127 do not fit there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError
from edgebench.models.quantization.borders import SHAPE_ALONE, Borders, find_borders, integer_sites
from edgebench.models.quantization.coding import Coded, Coder, code_weights
from edgebench.models.quantization.packed import (
    LEAST_DB,
    PROVED,
    STRIP_NAMES,
    by_kind,
    decoded_codes,
    float_weight,
    level_choices,
    measured,
    names_of,
    numbers_of,
    opened,
    packed_scheme,
    replaced,
    rewritten,
    written,
)
from edgebench.models.quantization.packing import Prologue, add_numbers
from edgebench.models.quantization.ranges import METHODS, value_ranges
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.quantization.sites import find_sites
from edgebench.models.quantization.smoothing import smooth
from edgebench.models.rewrites import DEFAULT

if TYPE_CHECKING:
    import onnx

_INT32 = 2**31 - 1
_ALPHA = 0.5  # how much of an outlier goes into the weights; see ``smoothing``
# The largest channel over the median one from which a value is rescaled. In Whisper tiny's encoder one value
# of 13 has 61 and rounds to 29 dB alone, the others have at most 6 and round to 38 dB and better.
_OUTLIER = 16.0


def packed_int8(
    parent: Path, waveforms: Sequence[Waveform], settings: Settings, *, coder: Coder = code_weights
) -> bytes:
    """``parent`` with packed weights, in 8-bit arithmetic behind the front end and before the heads.

    ``waveforms`` (samples,) tell what the weights are multiplied with and the ranges of activations;
    ``coder`` finds the codes. Raises ModelError for a net with nothing that could compute in 8 bits.
    """
    model = opened(parent, settings)
    _smooth_outliers(model, waveforms, settings)
    coded = coder(model, waveforms, settings)
    chosen = integer_sites(model, [code.site for code in coded])
    if not chosen:
        raise ModelError(
            "the net has no convolution of 4 channels and no product but its heads, so there is nothing to "
            "compute in 8 bits. A scheme with float arithmetic, such as packed8, stores it small."
        )
    borders = find_borders(model, chosen)
    fitted = value_ranges(model, borders.groups, waveforms, settings["activation_range"])
    ranges = {name: found for group, found in zip(borders.groups, fitted, strict=True) for name in group}
    prologue = Prologue(names_of(model))
    integers = _Integers(model, prologue, borders, ranges)
    places = {site.place for site in chosen}
    numbers = [array for code in coded for array in integers.numbers(code, places)]
    names = iter(add_numbers(prologue, numbers))
    renamed: dict[str, str] = {}
    for code, flat in zip(coded, decoded_codes(prologue, coded, "INT8"), strict=True):
        scale = next(names)
        if code.site.place in places:
            renamed[code.site.weight] = integers.weight(code, flat, scale)
            if integers.takes_bias(code, places):
                assert code.site.bias is not None
                renamed[code.site.bias] = integers.bias(code, scale)
                continue
        else:
            renamed[code.site.weight] = float_weight(prologue, code, flat, scale, cast=True)
        if code.site.bias is not None:
            renamed[code.site.bias] = next(names)
    quantized = replaced(model, integers.nodes(places), prologue.tensors, {})
    proved = [name for name in settings["passes"] if name in PROVED]
    # What only codes prove is rewritten while the weights are still constants.
    return written(rewritten(quantized, proved), prologue, renamed, settings)


def _smooth_outliers(model: onnx.ModelProto, waveforms: Sequence[Waveform], settings: Settings) -> None:
    """Move what one channel has beyond the others into the weights of the integer products that read it."""
    if not settings.get("least_outlier"):
        return
    nodes = model.graph.node
    count = Counter(node.name for node in nodes)
    places = [site.place for site in integer_sites(model, find_sites(model)) if site.kind == "product"]
    chosen = [nodes[place].name for place in places if count[nodes[place].name] == 1]
    smooth(model, waveforms, chosen, alpha=_ALPHA, least_outlier=settings["least_outlier"])


def _filled(scales: NDArray[np.float64], more: int) -> NDArray[np.float64]:
    return np.pad(scales, (0, more), constant_values=1.0)


class _Integers:
    """The integer side of a graph: quantized values, and what reads them."""

    def __init__(
        self,
        model: onnx.ModelProto,
        prologue: Prologue,
        borders: Borders,
        ranges: Mapping[str, tuple[np.float32, np.uint8]],
    ) -> None:
        self._graph = model.graph
        self._prologue = prologue
        self._borders = borders
        self._ranges = dict(ranges)
        self._whole: dict[str, str] = {}  # value -> its uint8 form
        self._back: dict[str, str] = {}  # value -> its dequantized form
        # The range of a value that only moves is that of the value it came from.
        for at, node in enumerate(model.graph.node):
            if at in borders.moving:
                self._ranges[node.output[0]] = self._ranges[node.input[0]]

    def numbers(self, code: Coded, places: set[int]) -> list[NDArray[Any]]:
        """The float numbers of a site: scales, with ones for outputs that padding added, and a float bias."""
        found = numbers_of(code)
        if code.site.place in places:
            found[0] = _filled(found[0], code.missing[code.codes.ndim + code.site.axis])
        return found[:1] if self.takes_bias(code, places) else found

    def takes_bias(self, code: Coded, places: set[int]) -> bool:
        """Whether the bias is added in integers: it is an operand of the node itself."""
        node = self._graph.node[code.site.place]
        return code.site.place in places and code.site.bias is not None and code.site.bias in node.input

    def weight(self, code: Coded, flat: str, scale: str) -> str:
        """The dequantized weight of an integer site, of ``flat`` int8 codes."""
        prologue = self._prologue
        whole = prologue.node("Reshape", flat, np.array(code.codes.shape, np.int64))
        if any(code.missing):
            whole = prologue.node("Pad", whole, np.array(code.missing, np.int64))
        return prologue.node("DequantizeLinear", whole, scale, axis=code.site.axis)

    def bias(self, code: Coded, scale: str) -> str:
        """The dequantized bias: int32 in steps of the source's scale times the weight's."""
        assert code.bias is not None
        step = self._ranges[code.site.source][0]
        steps = _filled(code.scales, len(code.bias) - len(code.scales)) * float(step)
        whole = np.clip(np.round(code.bias / steps), -_INT32, _INT32).astype(np.int32)
        product = self._prologue.node("Mul", scale, step)
        return self._prologue.node("DequantizeLinear", whole, product, axis=0)

    def nodes(self, places: set[int]) -> list[onnx.NodeProto]:
        """The graph's nodes with the borders between them; sites read dequantized values."""
        sources = {name: at for at in places for name in self._graph.node[at].input[:1]}
        found: list[onnx.NodeProto] = []
        roots = {name for group in self._borders.groups for name in group}
        self._quantize([value.name for value in self._graph.input if value.name in roots], found)
        for at, node in enumerate(self._graph.node):
            if at in self._borders.moving:
                self._move(node)
            elif node.op_type in SHAPE_ALONE:
                node.input[0] = self._whole.get(node.input[0], node.input[0])
            else:
                for place, name in enumerate(node.input):
                    if name in self._borders.results or (at in places and place == 0 and name in sources):
                        node.input[place] = self._dequantized(name, found)
            found.append(node)
            self._quantize([name for name in node.output if name in roots], found)
        return found

    def _move(self, node: onnx.NodeProto) -> None:
        """Let a node that moves elements about work on integers."""
        output = node.output[0]
        zero = self._ranges[output][1]
        count = len(node.input) if node.op_type == "Concat" else 1
        for place in range(count):
            node.input[place] = self._whole[node.input[place]]
        if node.op_type == "Pad":
            given = [*node.input[:2], self._prologue.constant(zero)]
            del node.input[:]
            node.input.extend(given)
        self._whole[output] = self._prologue.name()
        node.output[0] = self._whole[output]

    def _quantize(self, names: Sequence[str], found: list[onnx.NodeProto]) -> None:
        for name in names:
            scale, zero = self._ranges[name]
            self._whole[name] = self._add("QuantizeLinear", name, scale, zero, found)

    def _dequantized(self, name: str, found: list[onnx.NodeProto]) -> str:
        if name not in self._back:
            scale, zero = self._ranges[name]
            self._back[name] = self._add("DequantizeLinear", self._whole[name], scale, zero, found)
        return self._back[name]

    def _add(
        self, kind: str, name: str, scale: np.float32, zero: np.uint8, found: list[onnx.NodeProto]
    ) -> str:
        from onnx import helper  # noqa: PLC0415

        constant = self._prologue.constant
        output = self._prologue.name()
        found.append(helper.make_node(kind, [name, constant(scale), constant(zero)], [output]))
        return output


_FLOAT_LAYOUT = ("time_last", "softmax_last", "pool_first")
_PADS = ("pad_channels:16", "pad_last:16")
# The integer kernels of x86 want channels last and 16 of them, and a product's weights on its right.
PASSES = (
    *(name for name in DEFAULT if name not in (*_FLOAT_LAYOUT, "generated_tables", STRIP_NAMES)),
    "time_first",
    *_PADS,
    "patch_channels",
    "generated_tables",
    *PROVED,
    STRIP_NAMES,
)


INT8_LEVELS = level_choices(127)["convolution_levels"]


def _without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in PASSES if name not in names)


# Where other kernels take other shapes, some of this is work for nothing: a search tries to go without.
_CHOICES = {
    "activation_range": METHODS,
    "passes": (
        PASSES,
        _without(*_PADS),
        _without("patch_channels"),
        _without("time_first"),
        _without(*_PADS, "patch_channels", "time_first"),
    ),
}


def _scheme(name: str, summary: str, levels: Settings, **choices: tuple[Any, ...]) -> Scheme:
    return packed_scheme(
        name,
        f"{summary}, by GPTQ; int8 arithmetic",
        packed_int8,
        levels,
        arithmetic=settings(
            arithmetic="int8",
            activations="uint8",
            activation_range="mse",
            least_outlier=_OUTLIER,
            passes=PASSES,
        ),
        choices=choices,
        allowed={"arithmetic": ("int8",), "activations": ("uint8",), "activation_range": METHODS},
    )


SCHEMES = (
    _scheme("packed8_int8", "weights of 127 levels", by_kind(127, 127, first=127)),
    _scheme("packed4_int8", "weights of 15 levels", by_kind(15, 15, first=127)),
    _scheme("packed_mixed_int8", "convolutions of 127 levels, products of 11", by_kind(127, 11, first=127)),
    _scheme(
        "packed_ternary_int8",
        "convolutions of 37 levels, products of 3",
        by_kind(37, 3, first=127),
        **level_choices(127),
        **_CHOICES,
    ),
    _scheme(
        "packed_measured_int8",
        "levels of each weight by measurement",
        measured(25.0, most=127),
        least_db=LEAST_DB,
        **_CHOICES,
    ),
)
