"""int8 convolutions and products with ranges from clips, by onnxruntime, for any net.

What a convolution feeds without another product between (Relu, pooling, sums of two such) stays in 8 bits.
Signed weights with one scale a channel are what onnxruntime's fast kernels of convolutions take; 16 bits
for activations (``activations=uint16``) show what their rounding costs, and are computed in float.
``passes`` rewrite the graph first; ``pad_channels:16`` pays where a net of few channels misses that kernel.
"""

from __future__ import annotations

from edgebench.models.quantization.float_parts import ALL_PARTS
from edgebench.models.quantization.scheme import Scheme, settings
from edgebench.models.quantization.static_qdq import static_qdq

STATIC = settings(
    operators=("Conv", "MatMul", "Gemm", "Relu", "Clip", "MaxPool", "Add"),
    float_parts=ALL_PARTS,
    float_nodes=(),
    float_outputs=("MatMul", "Gemm"),
    float_readers=True,
    weights="int8",
    activations="uint8",
    per_channel=True,
    reduce_range=False,
    calibrator="MinMax",
    percentile=99.99,
)
ALLOWED = {
    "operators": ("Conv", "ConvTranspose", "MatMul", "Gemm", "Relu", "Clip", "MaxPool", "Add"),
    "float_parts": ALL_PARTS,
    "float_outputs": ("MatMul", "Gemm", "Conv"),
    "weights": ("int8", "uint8"),
    "activations": ("uint8", "int8", "uint16", "int16"),
    "calibrator": ("MinMax", "Entropy", "Percentile"),
}
# onnxruntime's fast int8 convolution wants input channels in fours and 16 or more outputs.
PADDED = ("pad_channels:16",)
CHOICES = {
    "weights": ("int8", "uint8"),
    "activations": ("uint8", "int8"),
    "per_channel": (True, False),
    "calibrator": ("MinMax", "Entropy", "Percentile"),
}

SCHEME = Scheme(
    name="ort_static",
    summary="int8 convolutions and products, ranges from clips; what must stay float by structure",
    quantize=static_qdq,
    settings=settings(**STATIC, passes=()),
    allowed=ALLOWED,
    choices={**CHOICES, "passes": ((), PADDED)},
    calibrated=True,
)
