"""Quantization schemes: one visible table from a name to what it does to an fp32 artifact.

The defaults people reach for destroy this family of nets. The softmax over a thousand frames gives
values near 8e-4, which a scale of 8 bits rounds to zero; the mel product of a power spectrum spans
more than 8 bits hold; and the first convolution, from one channel to thirteen, is slower in int8 than
in float. So a scheme names what stays float, and an artifact says which scheme with which settings.

What each quantizes was chosen by what it costs on validation clips, in time and in bytes: tables in
docs/results.md, made by ``python -m benchmarks.int8_choices``.

``int8_static``, for Wav2Small, takes the two 169 x 169 products alone. They hold 57,122 of the 68,257
learnt numbers, so the rest has little size to give, and thirteen channels fill no int8 kernel. Unsigned
weights, because on processors with AVX2 and without VNNI the product of unsigned by signed bytes
saturates in silence unless the weights give up a bit.

``int8_static_dense`` takes the fully connected layers too, all but the two heads: for Wav2Small that is
the same choice, for a MobileNet the gates and the embedding. Its answers to white noise at full scale, of
which the calibration clips hold nothing, change most and set the tolerance of parity. The convolutions
need training with the rounding in it, which is another scheme.

``int8_static_conv`` takes wide convolutions as well, for speech transformers, whose encoders hold two fifths
of the weights; what reads the waveform and what answers stay float. What it costs in accuracy, a net's card
says, as no trained one is here.
"""

from __future__ import annotations

import contextlib
import fnmatch
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgebench.errors import ModelError, UsageError, nearest

if TYPE_CHECKING:
    import onnx

Waveform = NDArray[np.float32]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Scheme:
    """``quantize(path of the fp32 file, calibration waveforms, settings)`` gives the new graph.

    ``settings`` go into the manifest as they stand. ``calibrated`` says whether waveforms are needed.
    """

    name: str
    quantize: Callable[[Path, Sequence[Waveform], Settings], onnx.ModelProto]
    settings: Settings
    calibrated: bool

    def described(self) -> dict[str, Any]:
        """Name and settings as a manifest records them."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in self.settings.items()}
        return {"name": self.name, **plain}


def scheme_named(name: str) -> Scheme:
    """Look a scheme up. Raises :class:`UsageError` with the nearest names."""
    if name not in SCHEMES:
        raise UsageError(f"quantization scheme {name!r} is not known: {nearest(name, SCHEMES)}.")
    return SCHEMES[name]


def quantize(parent: Path, *, scheme: str, waveforms: Sequence[Waveform] = ()) -> onnx.ModelProto:
    """Quantize the fp32 file ``parent``; ``waveforms`` (samples,) calibrate it, one at a time.

    The graph keeps inputs, outputs, opset and IR of its parent; its metadata is empty.
    """
    chosen = scheme_named(scheme)
    if chosen.calibrated and not waveforms:
        raise ModelError(f"scheme {scheme!r} sets its ranges from speech, and no calibration clip was given.")
    return chosen.quantize(parent, waveforms, chosen.settings)


def int8_static(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> onnx.ModelProto:
    """Static QDQ by onnxruntime: 8-bit weights per channel, 8-bit activations, the named nodes in float."""
    import onnx  # noqa: PLC0415
    from onnxruntime import quantization as ort_quantization  # noqa: PLC0415

    model = onnx.load_model(parent)
    names = [node.name for node in model.graph.node if node.op_type in settings["operators"]]
    chosen = [name for name in names if not any(fnmatch.fnmatch(name, p) for p in settings["float_nodes"])]
    if not chosen:
        raise ModelError(
            f"model {parent} has no node that scheme 'int8_static' would quantize: it looks for "
            f"{', '.join(settings['operators'])} outside {', '.join(settings['float_nodes'])}."
        )
    types = {"int8": ort_quantization.QuantType.QInt8, "uint8": ort_quantization.QuantType.QUInt8}
    method = ort_quantization.CalibrationMethod[settings["calibrator"]]
    with tempfile.TemporaryDirectory() as folder, _no_advice():
        target = Path(folder) / "quantized.onnx"
        ort_quantization.quantize_static(
            str(parent),
            str(target),
            _Reader(model.graph.input[0].name, waveforms),
            quant_format=ort_quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(settings["operators"]),
            nodes_to_quantize=chosen,
            per_channel=bool(settings["per_channel"]),
            reduce_range=bool(settings["reduce_range"]),
            activation_type=types[settings["activations"]],
            weight_type=types[settings["weights"]],
            calibrate_method=method,
            extra_options={"OpTypesToExcludeOutputQuantization": list(settings["float_outputs"])},
        )
        quantized = onnx.load_model(target)
    return _tidy(quantized, model)


@contextlib.contextmanager
def _no_advice() -> Iterator[None]:
    """The quantizer advises a preparation of graphs that are prepared already, on the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _tidy(quantized: onnx.ModelProto, parent: onnx.ModelProto) -> onnx.ModelProto:
    """Give the graph its parent's opset and IR back, and drop what the quantizer noted for itself."""
    import onnx  # noqa: PLC0415

    quantized.ir_version = parent.ir_version
    del quantized.opset_import[:]
    quantized.opset_import.extend(parent.opset_import)
    used = {node.domain for node in quantized.graph.node}
    foreign = sorted(used - {entry.domain for entry in parent.opset_import} - {""})
    if foreign:
        raise ModelError(
            f"quantizing left operators of {', '.join(foreign)}, which other runtimes do not have."
        )
    quantized.producer_name, quantized.producer_version = parent.producer_name, ""
    del quantized.metadata_props[:]
    del quantized.graph.value_info[:]
    onnx.checker.check_model(quantized, full_check=True)
    return quantized


class _Reader:
    """Feeds calibration clips one by one, as onnxruntime's calibrator asks for them."""

    def __init__(self, name: str, waveforms: Sequence[Waveform]) -> None:
        self._name, self._waveforms = name, waveforms
        self._rest: Iterator[Waveform] = iter(waveforms)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        waveform = next(self._rest, None)
        return None if waveform is None else {self._name: waveform[np.newaxis, :]}

    def rewind(self) -> None:
        self._rest = iter(self._waveforms)


def _static(name: str, *, operators: Sequence[str], float_nodes: Sequence[str]) -> Scheme:
    """A static scheme; products keep float outputs, and what is not named here is common to all."""
    settings = {
        "operators": tuple(operators),
        "float_nodes": tuple(float_nodes),
        "float_outputs": tuple(operator for operator in operators if operator in ("MatMul", "Gemm")),
        "weights": "uint8",
        "activations": "uint8",
        "per_channel": True,
        "reduce_range": False,
        "calibrator": "MinMax",
    }
    return Scheme(name=name, quantize=int8_static, calibrated=True, settings=MappingProxyType(settings))


_HEADS = ("adv/*", "emotion/*")
# Narrow convolutions (Wav2Small's) fill no int8 kernel; the first of a speech encoder reads the waveform.
_UNFIT_CONVOLUTIONS = ("vgg7.*", "*conv_layers.0.*")

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            _static("int8_static", operators=["MatMul"], float_nodes=["log_mel/*"]),
            _static("int8_static_dense", operators=["MatMul", "Gemm"], float_nodes=["log_mel/*", *_HEADS]),
            _static(
                "int8_static_conv",
                operators=["MatMul", "Gemm", "Conv"],
                float_nodes=["log_mel/*", *_UNFIT_CONVOLUTIONS, *_HEADS, "head.*"],
            ),
        )
    }
)
