"""The board's device tree, where its maker says what it is."""

from __future__ import annotations

from edgebench.agent.sensors import files


def read(name: str, root: str = "/") -> str | None:
    """One entry; None on a machine without a device tree.

    /proc/device-tree is a link to the folder below /sys, and some containers lack the link.
    """
    found = files.read("/proc/device-tree/" + name, root)
    return found if found is not None else files.read("/sys/firmware/devicetree/base/" + name, root)
