"""Processors that have no instruction for products of 8-bit numbers."""

from __future__ import annotations

from edgebench.harness.explain.causes.base import Case, Cause, gain_as_float, listed, names_of, time_of

# As the kernel lists them in /proc/cpuinfo: dot products of bytes on Arm and on x86-64.
ARM_DOT = frozenset({"asimddp"})
X86_DOT = frozenset({"avx512_vnni", "avx_vnni"})
_X86 = ("x86_64", "amd64")
_PAYS = 0.5  # with the instruction, products in int8 take less than this share of fp32's time


def has_dot_product(machine: str, features: frozenset[str], *, arm64: bool) -> bool | None:
    """Whether the processor multiplies and sums bytes in one instruction; None where that is not known."""
    if not features:
        return None
    if arm64:
        return bool(features & ARM_DOT)
    return bool(features & X86_DOT) if machine in _X86 else None


def no_dot_product(case: Case) -> Cause | None:
    """Products and convolutions that gain little because the instruction is missing."""
    if has_dot_product(case.machine, case.features, arm64=case.is_arm64) is not False:
        return None
    rows = [row for row in case.open_rows() if row.in_int8 and row.macs and row.parent_ns]
    before = sum(row.parent_ns or 0.0 for row in rows)
    if not rows or time_of(rows) < _PAYS * before:
        return None
    gain = gain_as_float(rows)
    wanted = ARM_DOT if case.is_arm64 else X86_DOT
    return Cause.of(
        rows,
        code="no_dot_product",
        title="No dot product instruction",
        gain_ns=gain,
        gain_from="time of the slower ones in int8 minus in fp32",
        why=(
            f"The processor lists none of {', '.join(sorted(wanted))}: bytes are widened before they are "
            f"multiplied, which leaves int8 little before fp32 in {listed(names_of(rows))}."
        ),
        advice=(
            "On this board int8 saves memory more than time: keep the operators that are slower in float, or "
            "store weights in few bits and compute in float."
        ),
    )
