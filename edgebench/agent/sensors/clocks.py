"""Clocks and governors of the processors."""

from __future__ import annotations

from edgebench.agent.sensors import files

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any


def frequencies_hz(root: str = "/") -> dict[str, int]:
    """The clock of each processor by name: {"cpu0": 1800000000}."""
    return _per_cpu("scaling_cur_freq", root, lambda text: (files.number(text) or 0) * 1000)


def governors(root: str = "/") -> dict[str, str]:
    """The frequency governor of each processor by name."""
    return _per_cpu("scaling_governor", root, lambda text: text)


def _per_cpu(leaf: str, root: str, convert: Any) -> dict[str, Any]:
    base = "/sys/devices/system/cpu"
    values = {
        name: files.read("%s/%s/cpufreq/%s" % (base, name, leaf), root)
        for name in files.listed(base, "cpu", root)
    }
    return {name: convert(text) for name, text in values.items() if text and convert(text)}
