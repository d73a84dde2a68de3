"""The table of quantization schemes: a module of this folder and a row here are one scheme.

The defaults that quantizers come with destroy nets for speech: the softmax over a thousand frames gives
values near 8e-4, which a scale of 8 bits rounds to zero. So every scheme leaves parts in float: found by
structure (``float_parts``), by measurement (``ort_static_measured``), or named for the nets that edgebench
trains (``int8_static`` and its like, chosen by ``python -m benchmarks.int8_choices``).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgebench.errors import CorpusError, ModelError, UsageError, nearest
from edgebench.models.quantization import (
    fp16,
    int4_dynamic,
    int4_matmul,
    int8_static,
    int8_static_conv,
    int8_static_dense,
    litert_dynamic,
    litert_fp16,
    litert_fp32,
    litert_static,
    nc2,
    nc_static,
    ort_dynamic,
    ort_static,
    ort_static_dynamic,
    ort_static_measured,
    packed,
    packed_int8,
    qat,
    rewrite,
    smoothquant,
    weight_only,
)
from edgebench.models.quantization.overrides import overridden
from edgebench.models.quantization.scheme import Scheme, Waveform, is_silent

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            rewrite.SCHEME,
            fp16.SCHEME,
            weight_only.SCHEME,
            *packed.SCHEMES,
            *packed_int8.SCHEMES,
            qat.SCHEME,
            ort_dynamic.SCHEME,
            ort_static.SCHEME,
            ort_static_measured.SCHEME,
            ort_static_dynamic.SCHEME,
            int4_dynamic.SCHEME,
            smoothquant.SCHEME,
            int4_matmul.SCHEME,
            int8_static.SCHEME,
            int8_static_dense.SCHEME,
            int8_static_conv.SCHEME,
            *nc_static.SCHEMES,
            *nc2.SCHEMES,
            litert_fp32.SCHEME,
            litert_static.SCHEME,
            litert_dynamic.SCHEME,
            litert_fp16.SCHEME,
        )
    }
)


def scheme_named(name: str) -> Scheme:
    """Look a scheme up. Raises :class:`UsageError` with the nearest names."""
    if name not in SCHEMES:
        raise UsageError(f"quantization scheme {name!r} is not known: {nearest(name, SCHEMES)}.")
    return SCHEMES[name]


def quantize(
    parent: Path,
    *,
    scheme: str | Scheme,
    waveforms: Sequence[Waveform] = (),
    validation: Sequence[Waveform] = (),
    settings: Mapping[str, Any] | None = None,
) -> bytes:
    """The fp32 ONNX file ``parent`` after a scheme; ``waveforms`` (samples,) calibrate it.

    ``validation`` waveforms of other speakers go to the schemes that choose by them. ``settings`` replace
    some of the scheme's. Raises UsageError where a package is missing and for a setting that the scheme does
    not have, ModelError where a calibrated scheme gets no clip and where the scheme does not fit the file,
    CorpusError for clips that set no range.
    """
    chosen = overridden(scheme_named(scheme) if isinstance(scheme, str) else scheme, settings or {})
    require_packages(chosen)
    if chosen.calibrated:
        refuse_clips(f"scheme {chosen.name!r}", waveforms)
    try:
        more = {"validation": validation} if chosen.judged else {}
        return chosen.quantize(parent, waveforms, chosen.settings, **more)
    except ModelError as error:
        raise ModelError(f"scheme {chosen.name!r} does not fit {parent.name}: {error}") from error


def missing_packages(scheme: Scheme) -> list[str]:
    """Modules that a scheme needs and that cannot be found here."""
    return [name for name in scheme.needs if not _found(name)]


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package around a module of it
        return False


def require_packages(scheme: Scheme) -> None:
    """Raise UsageError, with what to install, where a scheme's packages are missing."""
    missing = missing_packages(scheme)
    if missing:
        raise UsageError(
            f"scheme {scheme.name!r} needs {', '.join(missing)}, which this environment does not have. "
            f"Install the extra: pip install 'edgebench[{scheme.extra}]'"
            f"{' (a CPU build of torch first)' if 'torch' in scheme.needs else ''}."
        )


def refuse_clips(who: str, waveforms: Sequence[Waveform]) -> None:
    """Raise ModelError for no clip, CorpusError for one and for silent ones.

    Ranges come from what the clips hold, and those of such clips fit nothing else.
    """
    if not waveforms:
        raise ModelError(f"{who} sets its ranges from speech, and no calibration clip was given.")
    silent = sum(map(is_silent, waveforms))
    if silent:
        raise CorpusError(
            f"{who} sets its ranges from speech, and {silent} of {len(waveforms)} calibration "
            "clips are silent (no sample beyond -80 dB of full scale). Take them out, or give others."
        )
    if len(waveforms) == 1:
        raise CorpusError(
            f"{who} sets its ranges from speech, and one clip is the range of one voice. Give at "
            "least two; a hundred of several speakers are usual."
        )
