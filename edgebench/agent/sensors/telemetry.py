"""The state of the board at one moment, from all sensors."""

from __future__ import annotations

import os
import time

from edgebench.agent.sensors import (
    cgroup,
    clocks,
    device_tree,
    files,
    jetson,
    load,
    memory,
    raspberry,
    thermal,
)
from edgebench.agent.sensors.power import Source
from edgebench.agent.sensors.programs import Programs
from edgebench.agent.sensors.rails import Rails

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any


class Telemetry:
    """Readings of the board's state, each with the share of it that others used since the last."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._others = load.Others(root)
        self._programs = Programs(root)
        self._rails = Rails(root)
        self._power: Source | None = None
        compatible = (device_tree.read("compatible", root) or "").split("\0")
        self._raspberry = raspberry.is_one(compatible)
        self._jetson = jetson.is_one(compatible)

    @property
    def power(self) -> Source:
        """The board's rails, looked for when they are first wanted: on a Raspberry Pi that runs a program."""
        if self._power is None:
            self._power = Source(self._root)
        return self._power

    def take(self, child: int | None = None) -> dict[str, Any]:
        """One reading, of files alone. ``child`` is the pid whose time is ours, beside this process's own."""
        pswpin, pswpout = memory.swapped_pages(self._root)
        try:
            loadavg = os.getloadavg()[0]
        except OSError:
            loadavg = None
        taken = {
            "monotonic_ns": time.monotonic_ns(),
            "freq_hz": clocks.frequencies_hz(self._root),
            "limits_hz": clocks.limits_hz(self._root),
            "governor": clocks.governors(self._root),
            "temperature_c": thermal.temperatures_c(self._root),
            "cooling": thermal.cooling(self._root),
            "loadavg_1": loadavg,
            "pswpin": pswpin,
            "pswpout": pswpout,
            "boot_id": files.boot_id(self._root),
            "busy": self._others.take(child),
            "rails": self._rails.take(),
        }
        if self._raspberry:
            taken["undervolt"] = raspberry.undervolt(self._root)
        if self._jetson:
            taken["gpu"] = jetson.gpu(self._root)
        return taken

    def take_between(self) -> dict[str, Any]:
        """One reading between two trials, with ``state``: counters, and what only programs tell."""
        state = self._state()
        return {**self.take(), "state": state}

    def _state(self) -> dict[str, Any]:
        """``unknown``: what this board should tell and does not, with the reason."""
        unknown: dict[str, str] = {}
        state: dict[str, Any] = {}
        if self._raspberry:
            state, unknown = raspberry.state(self._programs, self._root)
            state["pmic"] = raspberry.pmic_rails(self._programs)
        if self._jetson:
            state["power_mode"], why = jetson.power_mode(self._programs)
            if why is not None:
                unknown["power_mode"] = why
            state["clocks_locked"] = jetson.clocks_locked(self._root)
        return {
            **state,
            "throttle_counts": {**thermal.throttle_counts(self._root), **jetson.events(self._root)},
            "quota": cgroup.quota(self._root),
            "pressure_us": load.pressure_us(self._root),
            "unknown": unknown,
        }
