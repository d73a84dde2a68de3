"""Temperatures, and what the kernel does against them."""

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


# Thermal zones of a processor by words in their names. Others stand on a board as well: a Jetson's
# PMIC-Die says 100 C at any time.
PROCESSOR_ZONES = ("cpu", "soc", "gpu", "cv", "tj", "pkg", "core")


def hottest_processor_c(root: str = "/") -> float | None:
    """The highest temperature of a processor's zone in degrees Celsius; None where none is shown."""
    found = temperatures_c(root)
    ours = [celsius for zone, celsius in found.items() if any(w in zone.lower() for w in PROCESSOR_ZONES)]
    return max(ours) if ours else None


def cooling(root: str = "/") -> dict[str, int]:
    """How far the kernel holds the processors down for heat, by cooling device; 0 is not at all."""
    base = "/sys/class/thermal"
    found: dict[str, int] = {}
    for device in files.listed(base, "cooling_device", root):
        kind = files.read("%s/%s/type" % (base, device), root) or ""
        # The others are fans, graphics and network chips.
        if "cpu" not in kind and kind != "Processor":
            continue
        state = files.number(files.read("%s/%s/cur_state" % (base, device), root))
        if state is not None:
            found[kind] = max(state, found.get(kind, 0))
    return found


def throttle_counts(root: str = "/") -> dict[str, int]:
    """How often an x86 processor throttled for heat since the start of the machine."""
    base = "/sys/devices/system/cpu"
    found = {}
    for kind in ("core", "package"):
        counts = [
            files.number(files.read("%s/%s/thermal_throttle/%s_throttle_count" % (base, name, kind), root))
            for name in files.listed(base, "cpu", root)
        ]
        known = [count for count in counts if count is not None]
        if known:
            # Every core of a package repeats the package's count.
            found[kind] = sum(known) if kind == "core" else max(known)
    return found


def throttle_trip_c(root: str = "/") -> float | None:
    """The lowest temperature from which the kernel slows the processors down, by its own trip points."""
    base = "/sys/class/thermal"
    found = []
    for zone in files.listed(base, "thermal_zone", root):
        folder = "%s/%s" % (base, zone)
        if "cpu" not in (files.read(folder + "/type", root) or "").lower():
            continue
        for leaf in files.names(folder, root):
            if leaf.endswith("_type") and files.read("%s/%s" % (folder, leaf), root) == "passive":
                milli = files.number(files.read("%s/%s_temp" % (folder, leaf[: -len("_type")]), root))
                if milli is not None and milli > 0:
                    found.append(milli / 1000)
    return min(found) if found else None
