"""The table of quantization schemes: a module of this folder and a row here are one scheme.

The defaults that quantizers come with destroy nets of this kind: the softmax over a thousand frames gives
values near 8e-4, which a scale of 8 bits rounds to zero. So a scheme names what stays float. What each
quantizes was chosen by what it costs on validation clips, in time and in bytes: tables in docs/results.md,
made by ``python -m benchmarks.int8_choices``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from edgebench.errors import ModelError, UsageError, nearest
from edgebench.models.quantization import (
    int8_static,
    int8_static_conv,
    int8_static_dense,
    litert_fp32,
    litert_static,
    rewrite,
)
from edgebench.models.quantization.scheme import Scheme, Waveform

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        module.SCHEME.name: module.SCHEME
        for module in (int8_static, int8_static_dense, int8_static_conv, rewrite, litert_fp32, litert_static)
    }
)


def scheme_named(name: str) -> Scheme:
    """Look a scheme up. Raises :class:`UsageError` with the nearest names."""
    if name not in SCHEMES:
        raise UsageError(f"quantization scheme {name!r} is not known: {nearest(name, SCHEMES)}.")
    return SCHEMES[name]


def quantize(parent: Path, *, scheme: str, waveforms: Sequence[Waveform] = ()) -> bytes:
    """The fp32 ONNX file ``parent`` after a scheme; ``waveforms`` (samples,) calibrate it.

    Raises ModelError where a calibrated scheme gets no clip, and where the scheme does not fit the file.
    """
    chosen = scheme_named(scheme)
    if chosen.calibrated and not waveforms:
        raise ModelError(f"scheme {scheme!r} sets its ranges from speech, and no calibration clip was given.")
    return chosen.quantize(parent, waveforms, chosen.settings)
