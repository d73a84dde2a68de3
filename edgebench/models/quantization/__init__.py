"""Quantization schemes: what each does to an fp32 file. One file a scheme, and the table."""

from edgebench.models.quantization.scheme import Scheme
from edgebench.models.quantization.table import SCHEMES, quantize, scheme_named

__all__ = ["SCHEMES", "Scheme", "quantize", "scheme_named"]
