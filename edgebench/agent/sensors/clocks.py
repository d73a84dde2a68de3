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


def limits_hz(root: str = "/") -> dict[str, list[int]]:
    """Lowest and highest clock that the processors may have now, by group of processors with one clock.

    {"policy0": [600000000, 1800000000]}. A power mode, a thermal limit and a user set them.
    """
    base = "/sys/devices/system/cpu/cpufreq"
    found = {}
    for policy in files.listed(base, "policy", root):
        ends = [
            files.number(files.read("%s/%s/scaling_%s_freq" % (base, policy, end), root))
            for end in ("min", "max")
        ]
        known = [end * 1000 for end in ends if end is not None]
        if len(known) == len(ends):
            found[policy] = known
    return found


def _per_cpu(leaf: str, root: str, convert: Any) -> dict[str, Any]:
    base = "/sys/devices/system/cpu"
    values = {
        name: files.read("%s/%s/cpufreq/%s" % (base, name, leaf), root)
        for name in files.listed(base, "cpu", root)
    }
    return {name: convert(text) for name, text in values.items() if text and convert(text)}
