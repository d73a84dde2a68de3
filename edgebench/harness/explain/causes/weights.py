"""Weights stored as unsigned bytes, which the runtime's fast int8 convolution does not take."""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, listed, names_of, numbers_of, time_of

_PAYS = 1.1  # signed weights are faster by this factor at least in the probe


def unsigned_weights(case: Case) -> Cause | None:
    """int8 convolutions with unsigned weights, where signed ones are faster on this device."""
    rates = case.rates
    if rates is None or not rates.signed or not rates.unsigned or rates.signed < _PAYS * rates.unsigned:
        return None
    rows = [row for row in case.int8_convolutions() if row.child and row.child.stored_as == "uint8"]
    if not rows:
        return None
    factor = rates.signed / rates.unsigned
    return Cause(
        code="unsigned_weights",
        title="Convolutions with unsigned weights",
        operators=names_of(rows),
        numbers=numbers_of(rows),
        time_ns=time_of(rows),
        gain_ns=time_of(rows) * (1 - 1 / factor),
        gain_from=(
            f"a probe on this device, whose convolution is {factor:.1f} times as fast with signed weights"
        ),
        why=(
            f"{listed(names_of(rows))} store their weights as uint8. The runtime's fast int8 convolution "
            "wants signed weights around zero."
        ),
        advice=(
            "Quantize weights to int8 with one scale a channel (`--set weights=int8`). On x86-64 without "
            "VNNI their products may saturate: let the parity of a run on the device decide."
        ),
    )
