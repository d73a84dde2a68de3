"""No quantization: the same float net, computed by a graph that is rewritten exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings
from edgebench.models.rewrites import DEFAULT, rewrite, with_pass
from edgebench.models.rewrites.base import NEEDS


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    import onnx  # noqa: PLC0415

    model = onnx.load_model(parent)
    del model.metadata_props[:]  # the parent's manifest
    data: bytes = rewrite(model, settings["passes"]).model.SerializeToString(deterministic=True)
    return data


SCHEME = Scheme(
    name="rewrite",
    summary="no quantization: the same float net by an exact rewrite of its graph",
    quantize=_quantize,
    settings=settings(passes=DEFAULT),
    calibrated=False,
    needs=NEEDS,
    extra="quantize",
    exact=True,
    choices={"passes": (DEFAULT, with_pass("pad_pooled:16"), with_pass("pad_channels:16"))},
)
