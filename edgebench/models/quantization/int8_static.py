"""Wav2Small's two products of 169 x 169, and nothing else.

They hold 57,122 of the 68,257 learnt numbers, so the rest has little size to give, and onnxruntime has no
fast int8 kernel for thirteen channels. The mel product stays float: a power spectrum spans more than 8
bits hold.
"""

from __future__ import annotations

from edgebench.models.quantization.scheme import Scheme
from edgebench.models.quantization.static_qdq import static_qdq, static_settings

SCHEME = Scheme(
    name="int8_static",
    summary="int8 matrix products, front end and convolutions in float (Wav2Small)",
    quantize=static_qdq,
    settings=static_settings(operators=["MatMul"], float_nodes=["log_mel/*"]),
    calibrated=True,
    of_own_nets=True,
)
