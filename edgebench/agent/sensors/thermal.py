"""Temperatures."""

from __future__ import annotations

from edgebench.agent.sensors import files


def temperatures_c(root: str = "/") -> dict[str, float]:
    """Thermal zones by type, in degrees Celsius; a type seen twice gets its zone's number."""
    base = "/sys/class/thermal"
    temperatures: dict[str, float] = {}
    for zone in files.listed(base, "thermal_zone", root):
        milli = files.number(files.read("%s/%s/temp" % (base, zone), root))
        if milli is None:
            continue
        kind = files.read("%s/%s/type" % (base, zone), root) or zone
        temperatures[kind if kind not in temperatures else "%s.%s" % (kind, zone[12:])] = milli / 1000
    return temperatures
