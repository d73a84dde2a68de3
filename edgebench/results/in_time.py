"""A sustained launch in time: latency, clock, temperature and power, from its first minute to its last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebench.results.metrics import requests
from edgebench.results.metrics.energy import integral_j, readings_of
from edgebench.results.metrics.launches import samples_of
from edgebench.results.metrics.statistics import Floats
from edgebench.results.records.messages import TelemetryPoint, TrialMessage
from edgebench.results.verdicts.board import processor_temperatures
from edgebench.results.verdicts.case import points

Line = tuple[Floats, Floats]  # seconds since the loop began, values


@dataclass(frozen=True)
class Level:
    """What one minute of a launch was like; None for what the board does not tell.

    ``latency_ns``: the median; the others: means over the minute.
    """

    latency_ns: float | None
    clock_mhz: float | None
    temperature_c: float | None
    power_w: float | None


@dataclass(frozen=True)
class TimeCourse:
    """One launch in time. ``settle_s``: None where it never settled (see ``metrics.requests``)."""

    duration_s: float
    minute_s: float
    latency_ns: Line
    clock_mhz: Line
    temperature_c: Line
    power_w: Line
    settle_s: float | None

    @property
    def first(self) -> Level:
        """The first minute."""
        return self._level(0.0, self.minute_s)

    @property
    def last(self) -> Level:
        """The last minute."""
        return self._level(self.duration_s - self.minute_s, self.duration_s)

    def _level(self, begin_s: float, end_s: float) -> Level:
        return Level(
            _middle(self.latency_ns, begin_s, end_s),
            _mean(self.clock_mhz, begin_s, end_s),
            _mean(self.temperature_c, begin_s, end_s),
            _mean_power(self.power_w, begin_s, end_s),
        )


def time_course(trial: TrialMessage) -> TimeCourse | None:
    """A launch in time; None where it does not say when its loop ran."""
    begun_ns = trial.window.begun_ns if trial.window else None
    duration_s = requests.duration_of(trial)
    if begun_ns is None or not duration_s > 0 or trial.requests is None:
        return None
    clock, temperature = [], []
    for point in points(trial):
        at_s = (point.monotonic_ns - begun_ns) / 1e9
        if not 0 <= at_s <= duration_s:
            continue
        if mhz := clock_mhz(point, trial):
            clock.append((at_s, mhz))
        if celsius := [value for value, _ in processor_temperatures(point)]:
            temperature.append((at_s, max(celsius)))
    power = readings_of(trial)
    power_line = _line([])
    if not isinstance(power, str):
        at = power.t_s - begun_ns / 1e9
        # A little beyond both ends, so that the power at the ends is known.
        inside = (at >= -power.gap_s) & (at <= duration_s + power.gap_s)
        power_line = at[inside], power.watts[inside]
    return TimeCourse(
        duration_s=duration_s,
        minute_s=requests.minute_of(duration_s),
        latency_ns=(requests.starts_of(trial), samples_of(trial)),
        clock_mhz=_line(clock),
        temperature_c=_line(temperature),
        power_w=power_line,
        settle_s=requests.settle_time_s(trial),
    )


def clock_mhz(point: TelemetryPoint, trial: TrialMessage) -> float | None:
    """The clock of the fastest measured processor, as the kernel shows it."""
    measured = {f"cpu{number}" for number in trial.affinity or ()} or set(point.freq_hz)
    values = [value for cpu, value in point.freq_hz.items() if cpu in measured and value]
    return max(values) / 1e6 if values else None


def _line(pairs: list[tuple[float, float]]) -> Line:
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _within(line: Line, begin_s: float, end_s: float) -> Floats:
    times, values = line
    return values[(times >= begin_s) & (times <= end_s)]


def _mean(line: Line, begin_s: float, end_s: float) -> float | None:
    values = _within(line, begin_s, end_s)
    return float(values.mean()) if values.size else None


def _middle(line: Line, begin_s: float, end_s: float) -> float | None:
    values = _within(line, begin_s, end_s)
    return float(np.median(values)) if values.size else None


def _mean_power(line: Line, begin_s: float, end_s: float) -> float | None:
    times, values = line
    if not _within(line, begin_s, end_s).size or times.size < 2:
        return None
    return integral_j(times, values, begin_s, end_s) / (end_s - begin_s)
