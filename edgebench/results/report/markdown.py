"""A run, or two runs side by side, as Markdown (GitHub's tables)."""

from __future__ import annotations

import re

from edgebench.results.compare import Comparison
from edgebench.results.report.comparison import comparison_notes, comparison_sections, comparison_title
from edgebench.results.report.conditions import conditions
from edgebench.results.report.sections import sections
from edgebench.results.report.tables import Section, findings, not_judged, overhead_sentence
from edgebench.results.summary import RunSummary

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


def run_markdown(summary: RunSummary, *, relative_to: str | None = None) -> str:
    """The whole report of a run. ``relative_to``: the artifact that ratios are made against."""
    header = summary.header
    parts = [f"# edgebench: {escape(header.device.name)}, run {escape(summary.run_id)}"]
    if header.device.emulated:
        parts.append("**EMULATED: its speed says nothing about a real board.**")
    found = sections(summary, relative_to=relative_to)
    parts += [_section(section) for section in found]
    broken = findings(summary)
    if broken:
        lines = [
            f"- **{escape(code)}** {escape(condition)}: {escape(evidence)}. *{escape(action)}*"
            for condition, code, evidence, action in broken
        ]
        parts.append("## What is wrong and what to do\n\n" + "\n".join(lines))
    left = not_judged(summary)
    if left:
        parts.append("Not judged: " + escape("; ".join(f"{code} ({reason})" for code, reason in left)) + ".")
    if not any(section.title.startswith("The harness") for section in found):
        parts.append(escape(overhead_sentence(summary)))
    lines = [f"- **{escape(title)}**: {escape(text)}" for title, text in conditions(summary)]
    parts.append("## Conditions\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """Two runs, or the artifacts of one, side by side."""
    parts = [f"# edgebench: {escape(comparison_title(comparison))}"]
    parts += [f"**Differing (forced):** {escape(line)}" for line in comparison.differing]
    parts += [f"Also differing: {escape(line)}" for line in comparison.notes]
    parts += [_section(section) for section in comparison_sections(comparison)]
    parts += [escape(note) for note in comparison_notes(comparison)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no emphasis, link, HTML or table bar comes of it.

    >>> escape("<b>|a_b")
    '\\\\<b\\\\>\\\\|a\\\\_b'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _section(section: Section) -> str:
    head = "| " + " | ".join(escape(column.title) for column in section.columns) + " |"
    rule = "|" + "|".join("---:" if column.right else "---" for column in section.columns) + "|"
    rows = ["| " + " | ".join(escape(cell.text) for cell in row) + " |" for row in section.rows]
    parts = [f"## {escape(section.title)}", "\n".join([head, rule, *rows])]
    parts += [escape(note) for note in section.notes]
    return "\n\n".join(parts)
