"""The state of the board at one moment, from all sensors."""

from __future__ import annotations

import os
import time

from edgebench.agent.sensors import clocks, files, load, memory, thermal

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any


class Telemetry:
    """Readings of the board's state, each with the share of it that others used since the last."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._others = load.Others(root)

    def take(self, child: int | None = None) -> dict[str, Any]:
        """One reading. ``child`` is the pid whose time is ours, beside this process's own."""
        pswpin, pswpout = memory.swapped_pages(self._root)
        try:
            loadavg = os.getloadavg()[0]
        except OSError:
            loadavg = None
        return {
            "monotonic_ns": time.monotonic_ns(),
            "freq_hz": clocks.frequencies_hz(self._root),
            "governor": clocks.governors(self._root),
            "temperature_c": thermal.temperatures_c(self._root),
            "loadavg_1": loadavg,
            "pswpin": pswpin,
            "pswpout": pswpout,
            "boot_id": files.boot_id(self._root),
            "busy": self._others.take(child),
        }
