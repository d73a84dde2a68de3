"""The rules in the order in which they claim operators: what one explains, a later one leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgebench.harness.explain.causes.base import Case, Cause
from edgebench.harness.explain.causes.channels import arm_channels, few_channels, narrow_channels
from edgebench.harness.explain.causes.coverage import left_in_float
from edgebench.harness.explain.causes.dynamic import dynamic_convolutions
from edgebench.harness.explain.causes.fusions import gelu_in_parts
from edgebench.harness.explain.causes.instructions import no_dot_product
from edgebench.harness.explain.causes.layout import layout_changes
from edgebench.harness.explain.causes.pairs import float_neighbours, unfused
from edgebench.harness.explain.causes.slower import slower_in_int8
from edgebench.harness.explain.causes.weights import unsigned_weights

RULES: tuple[Callable[[Case], Cause | None], ...] = (
    dynamic_convolutions,
    few_channels,
    narrow_channels,
    arm_channels,
    unsigned_weights,
    unfused,
    left_in_float,
    gelu_in_parts,
    no_dot_product,
    slower_in_int8,
    layout_changes,
    float_neighbours,
)


def causes_of(case: Case) -> list[Cause]:
    """What the rules find, by what following the advice would save, the largest first."""
    found: list[Cause] = []
    for rule in RULES:
        claimed = frozenset(number for cause in found for number in cause.numbers)
        cause = rule(replace(case, claimed=claimed))
        if cause is not None:
            found.append(cause)
    return sorted(found, key=lambda cause: (-(cause.gain_ns or 0.0), -cause.time_ns))
