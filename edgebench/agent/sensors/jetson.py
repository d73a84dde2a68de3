"""What a Jetson tells of itself: release, power mode, locked clocks, GPU, over-current events."""

from __future__ import annotations

import re

from edgebench.agent.sensors import clocks, files

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

    from edgebench.agent.sensors.programs import Programs

NVPMODEL = ("/usr/sbin/nvpmodel", "/usr/bin/nvpmodel")

_DEVFREQ = "/sys/class/devfreq"
# How the GPU's clock is called, after its address, from the Nano to the Orin.
_GPUS = ("gpu", "gm20b", "gp10b", "gv11b", "ga10b")


def is_one(compatible: list[str]) -> bool:
    """Whether a device tree that says ``compatible`` is a Jetson's."""
    return any(text.startswith("nvidia,") for text in compatible)


def l4t(root: str = "/") -> str | None:
    """The release of Jetson Linux: "36.4.7"."""
    text = files.read("/etc/nv_tegra_release", root) or ""
    match = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return "%s.%s" % match.groups() if match else None


def power_mode(programs: Programs) -> tuple[dict[str, str | None] | None, str | None]:
    """Name and number of the power mode, or None with the reason.

    The numbers differ between boards; the name says which mode it is.
    """
    mode, why = programs.ask(NVPMODEL, ["-q"], mode_of)
    return mode, None if why is None else "nvpmodel -q: %s" % why


def mode_of(text: str) -> dict[str, str | None] | None:
    """The mode in ``NV Power Mode: MAXN_SUPER``, its number on the next line."""
    match = re.search(r"NV Power Mode:\s*(\S+)(?:\s+(\d+)\s*$)?", text, re.MULTILINE)
    return {"name": match.group(1), "id": match.group(2)} if match else None


def clocks_locked(root: str = "/") -> bool | None:
    """Whether ``jetson_clocks`` holds the clocks: it sets their lowest to the highest. None: not told."""
    limits = list(clocks.limits_hz(root).values())
    found = gpu(root)
    if found and "min_hz" in found and "max_hz" in found:
        limits.append([found["min_hz"], found["max_hz"]])
    return all(lowest == highest for lowest, highest in limits) if limits else None


def gpu(root: str = "/") -> dict[str, Any] | None:
    """Clock and its limits in Hz, and the share 0..1 of time in which the GPU was busy."""
    for name in files.names(_DEVFREQ, root):
        if name.rpartition(".")[2] not in _GPUS:
            continue
        folder = "%s/%s" % (_DEVFREQ, name)
        found: dict[str, Any] = {
            key: files.number(files.read("%s/%s" % (folder, leaf), root))
            for key, leaf in (("freq_hz", "cur_freq"), ("min_hz", "min_freq"), ("max_hz", "max_freq"))
        }
        load = files.number(files.read(folder + "/device/load", root))
        found["load"] = None if load is None else load / 1000
        return {key: value for key, value in found.items() if value is not None} or None
    return None


def events(root: str = "/") -> dict[str, int]:
    """How often the hardware throttled for its supply since the start of the board, by sensor.

    NVIDIA's developer guide names those of the Orin: oc1 under-voltage, oc2 average over-current, oc3
    over-current of a moment.
    """
    found = {}
    for sensor in files.listed("/sys/class/hwmon", "hwmon", root):
        folder = "/sys/class/hwmon/" + sensor
        if files.read(folder + "/name", root) != "soctherm_oc":
            continue
        for leaf in files.names(folder, root):
            if leaf.endswith("_event_cnt"):
                count = files.number(files.read("%s/%s" % (folder, leaf), root))
                if count is not None:
                    found[leaf[: -len("_event_cnt")]] = count
    return found
