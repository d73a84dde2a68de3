"""The same net in float as a .tflite file, for LiteRT and tflite-runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebench.models.quantization.litert_convert import LENGTHS_S, NEEDS, convert
from edgebench.models.quantization.litert_tidy import tidied
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    return tidied(convert(parent, settings["lengths_s"], free_length=settings["free_length"]))


SCHEME = Scheme(
    name="litert_fp32",
    summary="no quantization: the net as .tflite",
    quantize=_quantize,
    settings=settings(converter="litert-torch", free_length=True, lengths_s=LENGTHS_S),
    calibrated=False,
    format="tflite",
    needs=("torch", *NEEDS),
    extra="train,litert",
    exact=True,
    of_own_nets=True,
)
