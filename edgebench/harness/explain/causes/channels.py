"""Convolutions whose channels do not fit the runtime's int8 kernels.

onnxruntime's kernels multiply 8-bit numbers in groups of four input channels. On x86-64 a count that is no
multiple of four takes a slower way; on 64-bit Arm the fast kernel wants 64 input channels at least
(``onnxruntime/core/mlas/lib/convsym.cpp``), and others are copied into a matrix first.
"""

from __future__ import annotations

from edgebench.harness.explain.causes.base import IN_FLOAT, Case, Cause, gain_as_float, listed, names_of
from edgebench.harness.explain.explanation import Row

FOURS = 4
OUTPUTS = 16
ARM_LEAST = 64


def channels_of(row: Row) -> tuple[int, int] | None:
    """(in, out) channels of one group of a convolution; None for others and for depthwise ones."""
    operator = row.child or row.parent
    if operator is None or operator.weights is None or not operator.is_convolution:
        return None
    outputs, inputs = operator.weights[:2]
    if operator.groups > 1 and inputs == 1:
        return None
    return inputs, outputs // max(operator.groups, 1)


def few_channels(case: Case) -> Cause | None:
    """Convolutions that read fewer than four channels, such as the first one, and are slower in int8."""
    rows = [
        row
        for row in case.int8_convolutions()
        if (found := channels_of(row)) and found[0] < FOURS and _slower(row)
    ]
    if not rows:
        return None
    gain = gain_as_float(rows)
    counts = sorted({found[0] for row in rows if (found := channels_of(row))})
    return Cause.of(
        rows,
        code="few_channels",
        title="Convolutions that read fewer than four channels",
        gain_ns=gain,
        why=(
            f"{listed(names_of(rows))} reads {' or '.join(map(str, counts))} channel(s). int8 kernels "
            "multiply input channels in groups of four, so most of each group is filled with nothing, and "
            "the fp32 kernel is faster."
        ),
        advice=(
            "Leave these convolutions in float, or give them shifted copies of their input as channels "
            "(four or twelve), which is exact."
        ),
    )


def narrow_channels(case: Case) -> Cause | None:
    """Channel counts that are no multiple of four (input) on x86-64."""
    if case.is_arm64:
        return None
    rows = [row for row in case.int8_convolutions() if (found := channels_of(row)) and found[0] % FOURS != 0]
    rows = [row for row in rows if (found := channels_of(row)) and found[0] > FOURS]
    if not rows:
        return None
    padded = _gain_by_padding(case, rows)
    as_float = gain_as_float(rows)
    by_padding = padded is not None and padded >= as_float
    gain = padded if padded is not None and by_padding else as_float
    counts = sorted({found[0] for row in rows if (found := channels_of(row))})
    unsigned = any(row.child is not None and row.child.stored_as == "uint8" for row in rows)
    return Cause.of(
        rows,
        code="narrow_channels",
        title="Channels that are not in fours",
        gain_ns=gain,
        gain_from=(
            "their MACs with padded channels at the rate that an int8 convolution of such channels reached "
            "in a probe on this device"
            if by_padding
            else IN_FLOAT
        ),
        why=(
            f"{listed(names_of(rows))}: {' or '.join(map(str, counts))} input channels. The fast int8 kernel "
            "takes input channels in fours (and likes outputs in sixteens), so these take a slower way."
        ),
        advice=(
            f"Pad the channels to a multiple of four, better of {OUTPUTS}, with zeros (an exact rewrite), "
            f"{'store the weights signed (here they are uint8, which misses that kernel too), ' * unsigned}"
            "and measure again on this device; where that does not pay, leave them in float."
        ),
    )


def arm_channels(case: Case) -> Cause | None:
    """Fewer than 64 input channels on 64-bit Arm."""
    if not case.is_arm64:
        return None
    rows = [row for row in case.int8_convolutions() if (found := channels_of(row)) and found[0] < ARM_LEAST]
    gain = gain_as_float(rows)
    if not rows or gain <= 0:
        return None
    return Cause.of(
        rows,
        code="arm_channels",
        title="Fewer than 64 input channels on 64-bit Arm",
        gain_ns=gain,
        why=(
            f"{listed(names_of(rows))}: onnxruntime's fast int8 convolution on 64-bit Arm takes {ARM_LEAST} "
            "input channels or more. With fewer, patches are copied into a matrix and multiplied there."
        ),
        advice="Leave the ones that are slower than in fp32 in float; padding only adds work here.",
    )


def _slower(row: Row) -> bool:
    return row.parent_ns is not None and row.child_ns is not None and row.child_ns > row.parent_ns


def _gain_by_padding(case: Case, rows: list[Row]) -> float | None:
    """Time now minus that of padded channels at the probe's rate."""
    rate = case.rates.padded if case.rates else None
    if not rate:
        return None
    gain = 0.0
    for row in rows:
        found = channels_of(row)
        if found is None or not row.macs:
            return None
        inputs, outputs = found
        share = -(-inputs // FOURS) * FOURS / inputs * -(-outputs // OUTPUTS) * OUTPUTS / outputs
        gain += (row.child_ns or 0.0) - row.macs * share / rate
    return gain
