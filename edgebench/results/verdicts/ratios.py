"""The verdict of a ratio: by the number and the scatter of its pairs.

A ratio of neighbours in time can be believed where neither file's own figures can: a busy host or
a drifting clock moves both launches of a pair. So the codes that speak of the machine's state do
not count here; what their scatter leaves of the ratio is measured. Codes that make the numbers
themselves meaningless still count.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgebench.results.metrics.intervals import MIN_CLUSTERS
from edgebench.results.metrics.metric import Metric
from edgebench.results.metrics.ratios import Ratio
from edgebench.results.verdicts.case import Finding
from edgebench.results.verdicts.verdict import Verdict


@dataclass(frozen=True)
class RatioLimits:
    """The thresholds of a ratio's verdict, in one place."""

    # Below this number no interval holds what it promises (see ``intervals.MIN_CLUSTERS``).
    pairs: int = MIN_CLUSTERS
    # Half the width of the 95 % interval, as a factor above 1. An interval of more than 20 % to
    # each side cannot tell a file from one that takes .8 of its time, and a file that saves less
    # is rarely deployed for its speed.
    halfwidth: float = 0.20
    # A difference of two times below this is not called: the clock of a Raspberry Pi ticks at
    # 54 MHz, and the null runtime takes some 100 ns.
    floor_ns: float = 1000.0
    # Between runs, a difference of resident memory of fewer pages is not called. Kernels since 6.2
    # count pages per processor in batches of at least 32 (percpu_counter), anonymous and mapped
    # ones apart; and which pages of a file are mapped depends on what was cached before the run.
    floor_pages: int = 64


LIMITS = RatioLimits()

# These say that the machine was not in a steady state, or that a figure stands on too little. The
# pairs show what that does to a ratio.
LEFT_TO_THE_PAIRS = frozenset(
    {
        "BUSY_HOST",
        "CANCELLED_BY_HOST",
        "FREQ_DRIFT",
        "GOV_CHANGED",
        "HOT_START",
        "MISSING_LAUNCHES",
        "MODE_CHANGED",
        "QUOTA",
        "THROTTLED",
        "TOO_FEW",
        "TOO_SHORT",
        "UNDERVOLT",
        "UNSTABLE",
    }
)


def judge_ratio(metric: Metric, ratio: Ratio, base: Verdict, other: Verdict) -> Verdict:
    """The verdict of one ratio from its pairs and from the verdicts of both conditions."""
    findings = [
        finding
        for verdict in (base, other)
        for finding in verdict.findings
        if finding.code in verdict.against(metric.name) and finding.code not in LEFT_TO_THE_PAIRS
    ]
    if ratio.clusters < LIMITS.pairs:
        findings.append(
            Finding(
                "FEW_PAIRS",
                f"{ratio.clusters} pairs of launches can be compared; {LIMITS.pairs} are needed",
                "Measure again with more launches.",
            )
        )
    elif (wide := _halfwidth(ratio)) is not None and wide > LIMITS.halfwidth:
        findings.append(
            Finding(
                "SCATTERED_PAIRS",
                f"the ratio is known to within {wide:.0%}; the limit is {LIMITS.halfwidth:.0%}",
                "Measure again with more launches, or when less else runs there.",
            )
        )
    return Verdict("INVALID" if findings else "VALID", tuple(dict.fromkeys(findings)))


def _halfwidth(ratio: Ratio) -> float | None:
    """The ``h`` of an interval from value / (1 + h) to value * (1 + h), or None."""
    interval = ratio.interval
    if interval.hi is None or ratio.value is None:
        return None
    return interval.hi / ratio.value - 1
