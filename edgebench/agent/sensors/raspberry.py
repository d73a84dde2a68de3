"""What the firmware of a Raspberry Pi tells: throttling, its own clock, and the rails of the Pi 5.

The firmware sets the clock, and the kernel's ``scaling_cur_freq`` is only what the kernel asked it for
(raspberrypi/linux#2986). Two files of the kernel speak of throttling. ``soc:firmware/get_throttled``
is not read: it holds the last answer somebody else got, and each boot's first read of it puts a
warning into the kernel's log. The alarm of the ``rpi_volt`` sensor is read: the kernel asks the
firmware every 2 s whether the voltage was too low.
"""

from __future__ import annotations

import re

from edgebench.agent.sensors import clocks, files, rails

TYPE_CHECKING = False  # see loop.py
if TYPE_CHECKING:
    from typing import Any

    from edgebench.agent.sensors.programs import Programs

VCGENCMD = ("/usr/bin/vcgencmd", "/opt/vc/bin/vcgencmd")

_PMIC = re.compile(r"(\w+)_([AV]) (?:current|volt)\(\d+\)=([0-9.]+)[AV]")


def is_one(compatible: list[str]) -> bool:
    """Whether a device tree that says ``compatible`` is a Raspberry Pi's."""
    return any(text.startswith("raspberrypi,") for text in compatible)


def state(programs: Programs, root: str = "/") -> tuple[dict[str, Any], dict[str, str]]:
    """What the firmware says now, and for each thing that it does not say, why.

    ``throttled``: the word of ``get_throttled``: bits 0 to 3 say under-voltage, clock capped,
    throttled and soft temperature limit at this moment, bits 16 to 19 the same at some time since the
    start of the board. ``firmware_hz``: the processor's clock as the firmware measures it;
    ``kernel_hz``: what the kernel shows at the same time.
    """
    found: dict[str, Any] = {}
    unknown: dict[str, str] = {}

    def ask(name: str, words: list[str], parse: Any) -> None:
        value, why = programs.ask(VCGENCMD, words, parse)
        if why is None:
            found[name] = value
        else:
            unknown[name] = "vcgencmd %s: %s" % (" ".join(words), why)

    ask("throttled", ["get_throttled"], throttle_word)
    # Calling a program may raise the clock: only what the kernel shows before and after it holds.
    before = clocks.frequencies_hz(root)
    ask("firmware_hz", ["measure_clock", "arm"], clock_hz)
    shown = [max(one.values()) for one in (before, clocks.frequencies_hz(root)) if one]
    if shown:
        found["kernel_hz"] = min(shown)
    return found, unknown


def pmic_rails(programs: Programs) -> dict[str, dict[str, float]] | None:
    """The rails of the Pi 5's power chip (see ``rails``); None on boards without one."""
    return programs.ask(VCGENCMD, ["pmic_read_adc"], pmic_values)[0]


def firmware(programs: Programs) -> str | None:
    """The firmware's version: "Jan  5 2023 10:46:54, 8ba17717fbce"."""
    return programs.ask(VCGENCMD, ["version"], _version)[0]


def undervolt(root: str = "/") -> bool | None:
    """Whether the kernel found the voltage too low in the last 2 s; None without its sensor."""
    for sensor in files.listed("/sys/class/hwmon", "hwmon", root):
        folder = "/sys/class/hwmon/" + sensor
        if files.read(folder + "/name", root) == "rpi_volt":
            alarm = files.number(files.read(folder + "/in0_lcrit_alarm", root))
            return None if alarm is None else bool(alarm)
    return None


def throttle_word(text: str) -> int | None:
    """The number in ``throttled=0x50005``."""
    match = re.match(r"throttled=(0x[0-9a-fA-F]+)$", text)
    return int(match.group(1), 16) if match else None


def clock_hz(text: str) -> int | None:
    """The number in ``frequency(48)=1500398464``; 0 of a broken answer is none."""
    match = re.match(r"frequency\(\d+\)=(\d+)$", text)
    return (int(match.group(1)) or None) if match else None


def pmic_values(text: str) -> dict[str, dict[str, float]] | None:
    """Rails from lines such as ``VDD_CORE_A current(7)=1.43652000A`` and ``VDD_CORE_V volt(15)=0.89V``."""
    volts: dict[str, float] = {}
    amperes: dict[str, float] = {}
    for name, kind, value in _PMIC.findall(text):
        (volts if kind == "V" else amperes)[name] = float(value)
    return {name: rails.rail(volts[name], amperes.get(name)) for name in volts} or None


def _version(text: str) -> str | None:
    lines = text.splitlines()
    match = re.search(r"^version ([0-9a-f]{12})", text, re.MULTILINE)
    return "%s, %s" % (lines[0].strip(), match.group(1)) if match else None
