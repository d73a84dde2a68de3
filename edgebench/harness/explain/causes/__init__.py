"""Why an int8 file takes the time that it takes: one rule a file, and the table of them."""

from edgebench.harness.explain.causes.base import Case, Cause
from edgebench.harness.explain.causes.table import causes_of

__all__ = ["Case", "Cause", "causes_of"]
