"""All fully connected layers but the two heads.

For Wav2Small that is the choice of ``int8_static``; for a MobileNet it is the gates and the embedding. Its
answers to white noise at full scale, of which the calibration clips hold nothing, change most, and they
set the tolerance of parity. The convolutions would need training with the rounding in it.
"""

from __future__ import annotations

from edgebench.models.quantization.scheme import Scheme
from edgebench.models.quantization.static_qdq import PRODUCTS, static_qdq, static_settings

SCHEME = Scheme(
    name="int8_static_dense",
    summary="int8 fully connected layers, convolutions and heads in float (MobileNets)",
    quantize=static_qdq,
    settings=static_settings(operators=PRODUCTS, float_nodes=["log_mel/*", "adv/*", "emotion/*"]),
    calibrated=True,
    of_own_nets=True,
)
