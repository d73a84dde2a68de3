"""Exact rewrites of float ONNX graphs: the same answers, computed in another way. One file a pass."""

from edgebench.models.rewrites.base import Pass
from edgebench.models.rewrites.table import DEFAULT, PASSES, Rewritten, pass_named, rewrite, with_pass

__all__ = ["DEFAULT", "PASSES", "Pass", "Rewritten", "pass_named", "rewrite", "with_pass"]
