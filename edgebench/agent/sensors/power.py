"""The power that a board draws, by the rails that it can read.

A Jetson's INA3221 monitors are small files. The rails of a Raspberry Pi 5 are told by ``vcgencmd`` alone,
which takes some milliseconds of a processor: it must not be called where a measured processor would serve
it (see ``Source.by_program``).
"""

from __future__ import annotations

from edgebench.agent.sensors import device_tree, raspberry
from edgebench.agent.sensors.programs import Programs
from edgebench.agent.sensors.rails import Rails

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

INA3221, PMIC = "ina3221", "pmic"

NO_RAILS = "this board shows no power rails (no INA3221 monitor, no power chip of a Raspberry Pi 5)"


class Source:
    """Where watts come from on this board.

    ``name``: INA3221, PMIC, or None, with the ``reason``. ``rails``: those that tell a power.
    """

    def __init__(self, root: str = "/") -> None:
        self._rails = Rails(root)
        self._programs = Programs(root)
        self.name: str | None = None
        self.reason: str | None = None
        found = _watts(self._rails.take())
        if found:
            self.name = INA3221
        else:
            compatible = (device_tree.read("compatible", root) or "").split("\0")
            self.reason = NO_RAILS
            if raspberry.is_one(compatible):
                found = self._ask_pmic()
        self.rails = sorted(found)

    @property
    def by_program(self) -> bool:
        """Whether each reading runs a program."""
        return self.name == PMIC

    def take(self) -> dict[str, float]:
        """Watts by rail at this moment; empty where nothing can be read, with ``reason``."""
        if self.name == INA3221:
            found = _watts(self._rails.take())
            if not found:
                self.reason = "the INA3221 monitors can no longer be read"
            return found
        return self._ask_pmic() if self.name == PMIC else {}

    def facts(self) -> dict[str, Any]:
        """What the fingerprint says of it."""
        return {"source": self.name, "rails": self.rails, "reason": None if self.name else self.reason}

    def _ask_pmic(self) -> dict[str, float]:
        told, why = self._programs.ask(raspberry.VCGENCMD, ["pmic_read_adc"], raspberry.pmic_values)
        found = _watts(told or {})
        if found:
            self.name = PMIC
        else:
            self.reason = "vcgencmd pmic_read_adc: %s" % (why or "it told no current")
        return found


def _watts(rails: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: one["power_w"] for name, one in rails.items() if "power_w" in one}
