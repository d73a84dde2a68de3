"""Which facts of two runs have to be the same before ratios between them say anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebench.agent.runtimes.base import SESSION
from edgebench.results.records.record import RunHeader

# Of a suite, these say which conditions are measured, and conditions are matched one by one; the rest
# says how each is measured, and has to be the same.
_WHAT_IS_MEASURED = {
    *("name", "description", "scenarios", "input_s", "threads", "corpora", "null_runtime"),
    # Launches of their own, and a part of the condition.
    *("energy", "sustained", "rate_hz"),
}
_HERE_OR_BELOW = {*_WHAT_IS_MEASURED, "session"}


def must_match(header: RunHeader) -> dict[str, Any]:
    """The facts that have to be the same before two runs may be compared."""
    board = header.device.fingerprint
    runtimes = board.runtimes
    session = header.suite.get("session", {})
    return {
        "device profile": header.device.profile,
        "machine": board.machine,
        "board model": board.model,
        "processor": board.cpu_model,
        "processor features": sorted(board.cpu_features),
        "processors": board.cpu_count,
        "page size": board.page_bytes,
        "virtual machine": board.virtual,
        "emulated": header.device.emulated,
        "governor": sorted(set(board.governors.values())),
        "runtime": sorted(runtimes),
        "runtime version": [f"{name} {runtimes[name].version}" for name in sorted(runtimes)],
        "runtime providers": [f"{name}: {sorted(runtimes[name].providers)}" for name in sorted(runtimes)],
        **{f"suite's {key}": value for key, value in header.suite.items() if key not in _HERE_OR_BELOW},
        # A setting that did not exist when a run was recorded had the value that is now its default.
        **{f"runtime option {key}": value for key, value in {**SESSION, **session}.items()},
    }


def may_differ(header: RunHeader) -> dict[str, Any]:
    """Facts that a reader wants to hear of when they differ."""
    board = header.device.fingerprint
    return {
        "kernel": board.kernel,
        "system": board.os,
        "python": board.python,
        "numpy": [f"{facts.numpy} beside {name}" for name, facts in sorted(board.runtimes.items())],
        "edgebench": header.harness_version,
        "address": header.device.address,
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """One sentence for each fact that differs: "processor: Cortex-A72 against Cortex-A76"."""
    return [
        f"{name}: {_word(before.get(name))} against {_word(after.get(name))}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    return "unknown" if value is None else str(value)
