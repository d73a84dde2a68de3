"""Every table of a run's report, in the order in which they answer questions."""

from __future__ import annotations

from edgebench.results.report.in_time import in_time_sections
from edgebench.results.report.ratios import ratio_sections
from edgebench.results.report.tables import Section, measured_sections
from edgebench.results.report.timeline import state_section
from edgebench.results.summary import RunSummary


def sections(summary: RunSummary, *, relative_to: str | None = None) -> list[Section]:
    """What was measured, and the artifacts side by side after the table of latencies.

    ``relative_to``: the artifact that the others are compared with; each one's parent without it.
    """
    found = measured_sections(summary)
    state = state_section(summary)
    return [
        *found[:1],
        *ratio_sections(summary, against=relative_to),
        *in_time_sections(summary),
        *found[1:],
        *([state] if state is not None else []),
    ]
