"""Voltage, current and power of a Jetson's supply rails, from its INA3221 monitors.

The name of the chip's folder and its files differ between releases of JetPack, so the rails are looked
for once and then only read.
"""

from __future__ import annotations

from edgebench.agent.sensors import files

_I2C = "/sys/bus/i2c/devices"


def rail(voltage_v: float | None, current_a: float | None, power_w: float | None = None) -> dict[str, float]:
    """One reading of a rail; what the board does not tell is left out."""
    if power_w is None and voltage_v is not None and current_a is not None:
        power_w = round(voltage_v * current_a, 6)
    found = {"voltage_v": voltage_v, "current_a": current_a, "power_w": power_w}
    return {name: value for name, value in found.items() if value is not None}


class Rails:
    """The rails of all INA3221 chips below ``root``."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        # name -> paths of voltage (mV), current (mA) and power (mW)
        self._rails: dict[str, tuple[str, str, str]] = {}
        for chip in files.names(_I2C, root):
            if "ina3221" in (files.read("%s/%s/name" % (_I2C, chip), root) or ""):
                self._find_hwmon("%s/%s/hwmon" % (_I2C, chip))
                self._find_iio("%s/%s" % (_I2C, chip))

    def take(self) -> dict[str, dict[str, float]]:
        """The rails by name; one that cannot be read at the moment is left out."""
        found = {}
        for name, paths in self._rails.items():
            milli = [files.number(files.read(path, self._root)) for path in paths]
            values = [None if value is None else value / 1000 for value in milli]
            one = rail(*values)
            if one:
                found[name] = one
        return found

    def _find_hwmon(self, base: str) -> None:
        """JetPack 5 and later: ``hwmon/hwmonN/in1_label`` names ``in1_input`` and ``curr1_input``.

        Inputs above 3 are sums of shunt voltages.
        """
        for monitor in files.listed(base, "hwmon", self._root):
            folder = "%s/%s" % (base, monitor)
            for number in (1, 2, 3):
                label = files.read("%s/in%d_label" % (folder, number), self._root)
                on = files.read("%s/in%d_enable" % (folder, number), self._root) != "0"
                if on:
                    ends = ("in%d_input", "curr%d_input", "power%d_input")
                    self._add(label, [folder + "/" + end % number for end in ends])

    def _find_iio(self, base: str) -> None:
        """JetPack 4: ``iio:deviceN/rail_name_0`` names ``in_voltage0_input`` and its like."""
        for device in files.names(base, self._root):
            if not device.startswith("iio:device"):
                continue
            folder = "%s/%s" % (base, device)
            for number in (0, 1, 2):
                label = files.read("%s/rail_name_%d" % (folder, number), self._root)
                ends = ("in_voltage%d_input", "in_current%d_input", "in_power%d_input")
                self._add(label, [folder + "/" + end % number for end in ends])

    def _add(self, label: str | None, paths: list[str]) -> None:
        if not label or label == "NC":  # not connected
            return
        name, count = label, 2
        while name in self._rails:
            name, count = "%s.%d" % (label, count), count + 1
        voltage, current, power = paths
        self._rails[name] = (voltage, current, power)
