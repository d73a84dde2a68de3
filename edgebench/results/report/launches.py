"""What a report says of the launches: how many were disturbed, by what, and how many were made again."""

from __future__ import annotations

from typing import Any

from edgebench.results.summary import RunSummary

_WHAT = {
    "others": "other processes used up to {:.0%} of all CPUs",
    "steal": "the hypervisor took up to {:.0%} of all CPUs",
    "queue_wait": "a launch waited for a CPU for up to {:.0%} of its time",
}


def launches_sentence(summary: RunSummary) -> str | None:
    """How many launches telemetry shows disturbed; None for runs that did not look."""
    found = summary.disturbances
    if not found.judged:
        return None
    if not found.disturbed:
        return f"{found.launches}, none of them disturbed by what telemetry shows"
    shares = "; ".join(_WHAT[kind].format(share) for kind, share in found.shares.items())
    text = f"{found.disturbed} of {found.launches} were disturbed: {shares}. "
    if found.repeated:
        text += f"{found.repeated} were made again, whole groups at a time, and stand for the first ones"
        left = found.disturbed - found.replaced
        return text + (f"; {left} could not be replaced" if left else "")
    settings: dict[str, Any] = summary.header.suite.get("repeats") or {}
    if found.disturbed > settings.get("busy_host", 1.0) * found.judged:
        return text + "None was made again: on a host that is busy all the time a repeat is disturbed as well"
    return text + "None was made again: the suite's budget has no room for a group"
