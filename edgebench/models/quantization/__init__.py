"""Quantization schemes: what each does to an fp32 file. One file a scheme, and the table."""

from edgebench.models.quantization.overrides import overridden, parse_overrides, read_overrides
from edgebench.models.quantization.scheme import Scheme
from edgebench.models.quantization.table import (
    SCHEMES,
    missing_packages,
    quantize,
    refuse_clips,
    require_packages,
    scheme_named,
)

__all__ = [
    "SCHEMES",
    "Scheme",
    "missing_packages",
    "overridden",
    "parse_overrides",
    "quantize",
    "read_overrides",
    "refuse_clips",
    "require_packages",
    "scheme_named",
]
