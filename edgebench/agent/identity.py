"""Which board this is, and what it was started with: serial number, firmware, release, power mode."""

from __future__ import annotations

import hashlib

from edgebench.agent.sensors import files, jetson, raspberry, thermal
from edgebench.agent.sensors.programs import Programs

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

# Where a board's own number lies, the one that a new installation keeps first.
SERIALS = (
    "/proc/device-tree/serial-number",
    "/sys/firmware/devicetree/base/serial-number",
    "/sys/class/dmi/id/product_uuid",
    "/sys/class/dmi/id/board_serial",
    "/etc/machine-id",
)


def identity(compatible: list[str], root: str = "/") -> dict[str, Any]:
    """The part of the fingerprint that tells this board from others of its kind.

    ``board_sha256``: hash of the board's serial number, so that records name the board and not the
    number; ``board_id_source``: the file it is from. ``firmware``, ``l4t``: versions. ``power_mode``,
    ``clocks_locked``: of a Jetson. ``throttle_trip_c``: from where on the kernel slows down.
    """
    programs = Programs(root)
    serial, source = _serial(root)
    found: dict[str, Any] = {
        "board_sha256": serial and serial_sha256(serial),
        "board_id_source": source,
        "firmware": files.read("/sys/class/dmi/id/bios_version", root),
        "throttle_trip_c": thermal.throttle_trip_c(root),
    }
    if raspberry.is_one(compatible):
        found["firmware"] = raspberry.firmware(programs)
    if jetson.is_one(compatible):
        found["l4t"] = jetson.l4t(root)
        found["power_mode"] = jetson.power_mode(programs)[0]
        found["clocks_locked"] = jetson.clocks_locked(root)
    return found


def serial_sha256(serial: str) -> str:
    """The hash by which a board of that serial number is known."""
    return hashlib.sha256(("edgebench board " + serial).encode()).hexdigest()


def _serial(root: str) -> tuple[str | None, str | None]:
    for path in SERIALS:
        text = files.read(path, root)
        # Boards without a number of their own say zeros.
        if text and text.strip("0 "):
            return text, path
    return None, None
