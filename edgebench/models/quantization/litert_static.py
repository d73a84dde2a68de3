"""Wav2Small as a static int8 .tflite: convolutions, pooling and the two products, by ai-edge-quantizer.

The front end and the softmax stay float, for the reasons in ``table``. An operator is chosen by its kind and
by the name of its result, which holds the module's path; fused operators have several paths in their names,
so a rule names no more than it must.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgebench.errors import ModelError
from edgebench.models.quantization.litert_convert import (
    LENGTHS_S,
    NEEDS,
    convert,
    fitted,
    quiet,
    signatures,
)
from edgebench.models.quantization.litert_tidy import tidied
from edgebench.models.quantization.scheme import Scheme, Settings, Waveform, settings


def _quantize(parent: Path, waveforms: Sequence[Waveform], settings: Settings) -> bytes:
    """Convert in float, find the ranges of every signature, and write the integer file."""
    model = convert(parent, settings["lengths_s"], free_length=settings["free_length"])
    with tempfile.TemporaryDirectory() as folder, quiet():
        from ai_edge_quantizer import quantizer as quantizers  # noqa: PLC0415

        source = Path(folder) / "float.tflite"
        source.write_bytes(model)
        quantizer = quantizers.Quantizer(str(source))
        ready = [clip[np.newaxis] for clip in waveforms]
        for operator, pattern in settings["rules"]:
            quantizer.add_static_config(pattern, operator, activation_num_bits=8, weight_num_bits=8)
        clips = {
            name: [{"waveform": clip if length_s is None else fitted(clip, length_s)} for clip in ready]
            for name, length_s in signatures(model).items()
        }
        quantized = quantizer.quantize(quantizer.calibrate(clips)).quantized_model
    if quantized is None:
        raise ModelError(f"model {parent}: the quantizer gave no file.")
    return tidied(bytes(quantized))


SCHEME = Scheme(
    name="litert_static",
    summary="int8 convolutions and products as .tflite, by names (Wav2Small)",
    quantize=_quantize,
    settings=settings(
        converter="litert-torch",
        quantizer="ai-edge-quantizer",
        free_length=True,
        lengths_s=LENGTHS_S,
        weights="int8",
        activations="int8",
        per_channel=True,
        calibrator="min_max",
        rules=(
            ("CONV_2D", ".*_vgg7/.*"),
            ("MAX_POOL_2D", ".*_vgg7/.*"),
            ("PADV2", ".*_vgg7/.*"),
            ("FULLY_CONNECTED", ".*Linear_(sof|lin);.*"),
        ),
    ),
    calibrated=True,
    format="tflite",
    needs=("torch", *NEEDS),
    extra="train,litert",
    of_own_nets=True,
)
