"""Weights stored as unsigned bytes, which the runtime's fast int8 kernels do not take.

The instructions of x86-64 multiply unsigned by signed bytes, and onnxruntime's fast convolutions want weights
around zero. Which of it holds on a device is not assumed: a probe times both kinds of weights.
"""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, listed, names_of
from edgebench.harness.explain.explanation import Row

_PAYS = 1.1  # signed weights are faster by this factor at least in the probe


def unsigned_weights(case: Case) -> Cause | None:
    """int8 convolutions and products with unsigned weights, where signed ones are faster on this device."""
    rows = []
    gain = 0.0
    factors: dict[str, float] = {}
    for row in case.open_rows():
        factor = _factor(case, row)
        if not row.in_int8 or row.child is None or row.child.stored_as != "uint8" or factor < _PAYS:
            continue
        rows.append(row)
        gain += (row.child_ns or 0.0) * (1 - 1 / factor)
        factors["convolution" if row.child.is_convolution else "product"] = factor
    if not rows:
        return None
    said = " and ".join(f"{kind} is {factor:.1f} times as fast" for kind, factor in factors.items())
    return Cause.of(
        rows,
        code="unsigned_weights",
        title="Unsigned weights",
        gain_ns=gain,
        gain_from=f"a probe on this device, whose {said} with signed weights",
        why=(
            f"{listed(names_of(rows))} store their weights as uint8. The runtime's fast int8 kernels want "
            "signed weights."
        ),
        advice=(
            "Quantize weights to int8 with one scale a channel (`--set weights=int8`). On x86-64 without "
            "VNNI their products may saturate: let the parity of a run on the device decide."
        ),
    )


def _factor(case: Case, row: Row) -> float:
    """How much faster signed weights were in the probe; 1 where it does not tell."""
    rates = case.rates
    if rates is None or row.child is None or not row.macs:
        return 1.0
    signed, unsigned = (
        (rates.signed, rates.unsigned)
        if row.child.is_convolution
        else (rates.product_signed, rates.product_unsigned)
    )
    return signed / unsigned if signed and unsigned else 1.0
