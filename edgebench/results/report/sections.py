"""Every table of a run's report, in the order in which they answer questions."""

from __future__ import annotations

from edgebench.results.report.ratios import ratio_sections
from edgebench.results.report.tables import Section, measured_sections
from edgebench.results.summary import RunSummary


def sections(summary: RunSummary) -> list[Section]:
    """What was measured, and the artifacts side by side after the table of latencies."""
    found = measured_sections(summary)
    return [*found[:1], *ratio_sections(summary), *found[1:]]
