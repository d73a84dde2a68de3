"""How fast the runtime multiplies on this device at its best: a small file of friendly operators, traced.

A product and convolutions of 64 and of 16 channels, in float and in int8, of sizes that stay in the caches.
Their MACs over their times are what this runtime reaches on this core, which is below the processor's
arithmetic limit. A further convolution has the channels of the file's own, padded to what the int8 kernels
like; it says what padding would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.harness.explain.numbered import numbered
from edgebench.harness.explain.operators import Graph, Operator
from edgebench.harness.explain.side import Side
from edgebench.harness.explain.trace import Trace

if TYPE_CHECKING:
    import onnx

SAMPLES = 1 << 18  # of the waveform that all parts are cut from: a megabyte in float
_WIDTH = 240  # of the product
_FRIENDLY = (64, 64, (3, 3))  # channels in and out, and kernel, of the convolutions
_SLIM = (16, 16, (3, 3))
_EDGE = 26  # no power of two: such strides fall onto each other in the caches
_POSITIONS = 1 << 14  # of a convolution's input: long enough to be timed, short enough for the caches
_MOST_CHANNELS = 512
LEAST_TIME_NS = 10e3  # below it the profiler's clock, of microseconds, says nothing


@dataclass(frozen=True)
class Rates:
    """Multiply-accumulates per nanosecond on one core, by arithmetic; None where it could not be told.

    ``padded``: of an int8 convolution with the padded channels of the file's own. ``signed`` and
    ``unsigned``: of one and the same int8 convolution with weights of either kind; ``product_signed`` and
    ``product_unsigned``: of a product likewise.
    """

    float32: float | None
    int8: float | None
    padded: float | None
    signed: float | None = None
    unsigned: float | None = None
    product_signed: float | None = None
    product_unsigned: float | None = None

    def to_json(self) -> dict[str, float | None]:
        """The public form, in MACs per second."""
        return {f"{name}_macs_per_s": value and value * 1e9 for name, value in asdict(self).items()}


def padded_shape(operators: Sequence[Operator]) -> tuple[int, int, tuple[int, ...]] | None:
    """(in, out, kernel) of the costliest convolution whose input channels are not in fours, padded.

    Inputs go up to the next multiple of four and outputs to one of sixteen. None where there is none.
    """
    narrow = [
        o
        for o in operators
        if o.is_convolution and o.macs and o.weights and len(o.weights) in (3, 4) and o.groups == 1
        if o.weights[1] > 4 and o.weights[1] % 4 and max(o.weights[:2]) <= _MOST_CHANNELS
    ]
    if not narrow:
        return None
    weights = max(narrow, key=lambda o: o.macs or 0).weights
    assert weights is not None
    kernel = weights[2:] if len(weights) == 4 else (1, *weights[2:])
    return -(-weights[1] // 4) * 4, -(-weights[0] // 16) * 16, kernel


def probe_model(padded: tuple[int, int, tuple[int, ...]] | None) -> onnx.ModelProto:
    """The file: a waveform (1, SAMPLES) in, one number for each part out."""
    import onnx  # noqa: PLC0415

    parts = _Parts(np.random.default_rng(0))
    for eight in (False, True):
        parts.product("product_signed", eight=eight)
        parts.convolution("signed", _FRIENDLY, _EDGE, eight=eight)
        parts.convolution("slim", _SLIM, _EDGE, eight=eight)
    parts.product("product_unsigned", eight=True)
    parts.convolution("unsigned", _FRIENDLY, _EDGE, eight=True)
    if padded is not None:
        inputs, _, kernel = padded
        # As wide as a spectrogram is high, as long as the waveform allows.
        parts.convolution("padded", padded, max(kernel[1], min(_EDGE, SAMPLES // inputs // 32)), eight=True)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        parts.nodes,
        "probe",
        [value("waveform", 1, [1, SAMPLES])],
        [value(name, 1, [1]) for name in parts.outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in parts.stored.items()],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def rates_of(model: onnx.ModelProto, trace: Trace) -> Rates:
    """What a trace of the numbered ``model`` says. A part that is too quick to be timed says nothing."""
    side = Side("probe", Graph.of(model, samples=SAMPLES), trace)
    found: dict[str, list[float]] = {field.name: [] for field in fields(Rates)}
    for operator in side.graph.operators:
        time_ns = side.time_ns(operator)
        if not operator.macs or time_ns is None or time_ns < LEAST_TIME_NS:
            continue
        eight = side.in_int8(operator)
        if eight != operator.name.endswith("int8"):
            continue  # the runtime took another kernel than the one that was to be timed
        label, _, arithmetic = operator.name.rpartition("_")
        rate = operator.macs / time_ns
        if label != "padded" and "unsigned" not in label:
            found[arithmetic].append(rate)
        if eight and label in found:
            found[label].append(rate)
    return Rates(**{kind: max(rates, default=None) for kind, rates in found.items()})


def numbered_probe(model: onnx.ModelProto) -> bytes:
    """The bytes of the file to trace."""
    data: bytes = numbered(model).SerializeToString()
    return data


class _Parts:
    """The nodes and stored tensors of the probe, part by part."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, NDArray[Any]] = {}
        self.outputs: list[str] = []
        self._rng = rng

    def product(self, label: str, *, eight: bool) -> None:
        """One of two square matrices."""
        name = f"{label}_{'int8' if eight else 'float32'}"
        x = self._piece(name, (_WIDTH, _WIDTH))
        weights = self._rng.normal(0, 0.1, (_WIDTH, _WIDTH)).astype(np.float32)
        self._part(name, "MatMul", x, weights, eight=eight)

    def convolution(
        self, label: str, shape: tuple[int, int, tuple[int, ...]], width: int, *, eight: bool
    ) -> None:
        """A convolution over (in, height, width) that keeps height and width."""
        inputs, outputs, kernel = shape
        name = f"{label}_{'int8' if eight else 'float32'}"
        height = max(kernel[0], min(SAMPLES // inputs, _POSITIONS) // width)
        x = self._piece(name, (1, inputs, height, width))
        weights = self._rng.normal(0, 0.1, (outputs, inputs, *kernel)).astype(np.float32)
        pads = [kernel[0] // 2, kernel[1] // 2] * 2
        self._part(name, "Conv", x, weights, eight=eight, pads=pads)

    def _part(
        self, name: str, kind: str, x: str, weights: NDArray[np.float32], *, eight: bool, **attributes: Any
    ) -> None:
        if not eight:
            result = self._node(kind, [x, self._store(f"{name}.w", weights)], name, **attributes)
        else:
            scale = np.float32(np.abs(weights).max() / 127)
            form, zero = (np.uint8, 128) if "unsigned" in name else (np.int8, 0)
            stored = (np.round(weights / scale) + zero).astype(form)
            ends = [self._store(f"{name}.ws", scale), self._store(f"{name}.wz", form(zero))]
            w = self._node("DequantizeLinear", [self._store(f"{name}.w", stored), *ends], f"{name}.dw")
            found = self._node(kind, [self._pair(x, 1 / 128), w], name, **attributes)
            result = self._pair(found, 1 / 16)
        flat = self._store(f"{name}.all", np.asarray([-1], np.int64))
        output = self._node(
            "ReduceMax", [self._node("Reshape", [result, flat], f"{name}.flat")], f"{name}.out"
        )
        self.outputs.append(output)

    def _piece(self, name: str, shape: tuple[int, ...]) -> str:
        """The beginning of the waveform in a shape."""
        size = int(np.prod(shape))
        ends = [self._store(f"{name}.{end}", np.asarray([n], np.int64)) for end, n in enumerate((0, size, 1))]
        cut = self._node("Slice", ["waveform", *ends[:2], ends[2]], f"{name}.cut")
        target = self._store(f"{name}.shape", np.asarray(shape, np.int64))
        return self._node("Reshape", [cut, target], f"{name}.x")

    def _pair(self, x: str, scale: float) -> str:
        ends = [self._store(f"{x}.s", np.float32(scale)), self._store(f"{x}.z", np.uint8(128))]
        return self._node(
            "DequantizeLinear", [self._node("QuantizeLinear", [x, *ends], f"{x}.q"), *ends], f"{x}.dq"
        )

    def _node(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        import onnx  # noqa: PLC0415

        self.nodes.append(onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def _store(self, name: str, value: Any) -> str:
        self.stored[name] = np.asarray(value)
        return name
