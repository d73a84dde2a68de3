"""Fully connected layers and wide convolutions, for speech transformers.

Their encoders hold two fifths of the weights in convolutions. What reads the waveform and what answers
stays float.
"""

from __future__ import annotations

from edgebench.models.quantization.scheme import Scheme
from edgebench.models.quantization.static_qdq import PRODUCTS, static_qdq, static_settings

_HEADS = ("adv/*", "emotion/*", "head.*")
# Wav2Small's convolutions are too narrow for the int8 kernels.
_UNFIT_CONVOLUTIONS = ("vgg7.*", "*conv_layers.0.*")

SCHEME = Scheme(
    name="int8_static_conv",
    summary="int8 fully connected layers and wide convolutions (speech transformers)",
    quantize=static_qdq,
    settings=static_settings(
        operators=[*PRODUCTS, "Conv"], float_nodes=["log_mel/*", *_UNFIT_CONVOLUTIONS, *_HEADS]
    ),
    calibrated=True,
    of_own_nets=True,
)
