"""The energy of one launch: what the readings of power around it add up to.

Gross energy is the integral of the power over the measured loop, by the trapezoid rule; net energy is
that minus the power of the idle board, read before and after the launch, times the loop's time. Both are
divided by the inferences of the loop. What the rails leave out is said (``Coverage``).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebench.results.metrics.statistics import Floats
from edgebench.results.records.messages import MeterReadings, Power, TrialMessage
from edgebench.results.records.record import Condition

METER = "meter"

# A rail that carries all the others of its board: what else is read is a part of it.
_TOTALS = {
    "VDD_IN": "the carrier board and the losses before the module's input",
    "POM_5V_IN": "what the carrier board takes before the module's 5 V input",
}
# AGX Orin: it has no total. The fourth rail, VDDQ_VDD2_1V8AO, is fed with 5 V too, and taken as a part of
# VIN_SYS_5V0.
_AGX_ORIN = ("VDD_CPU_CV", "VDD_GPU_SOC", "VIN_SYS_5V0")
_LEFT_OUT = {
    "pmic": "the PMIC's own losses, and what is fed with 5 V directly (USB devices, HATs, a fan): EXT5V "
    "tells a voltage and no current",
    "ina3221": "what no monitor of this board reads; that none of these rails feeds another is not known",
    METER: "what is not fed through the meter",
}

# Fewer readings in the loop than this, or less of its time covered, are no integral.
MIN_READINGS = 5
MIN_COVERED = 0.95
# Readings further apart than so many of their periods leave a gap.
_GAP = 3.0


@dataclass(frozen=True)
class Coverage:
    """What an energy stands on. ``rails`` are those that were added up.

    ``readings``: how many lie in the loop. ``covered_s`` of its ``loop_s`` lie between readings that are
    close enough to each other.
    """

    source: str
    rails: tuple[str, ...]
    leaves_out: str
    readings: int
    covered_s: float
    loop_s: float


@dataclass(frozen=True)
class Readings:
    """Power in time: ``t_s (n,)`` in seconds of the board's monotonic clock, ``watts (n,)``.

    ``gap_s``: neighbours further apart than this leave the time between them uncovered. ``missing``: why
    there are fewer readings than there should be, or None.
    """

    t_s: Floats
    watts: Floats
    source: str
    rails: tuple[str, ...]
    leaves_out: str
    gap_s: float
    missing: str | None


@dataclass(frozen=True)
class Energy:
    """Joules of one measured loop, and mean powers in watts. Net: None where the idle power is not known."""

    gross_j: float
    net_j: float | None
    power_w: float
    idle_before_w: float | None
    idle_after_w: float | None
    inferences: int
    coverage: Coverage


def counted_rails(source: str, names: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The rails whose powers are added up, and what they leave out.

    >>> counted_rails("ina3221", ("VDD_CPU_GPU_CV", "VDD_IN", "VDD_SOC"))[0]
    ('VDD_IN',)
    """
    if source == "ina3221":
        for total, left_out in _TOTALS.items():
            if total in names:
                return (total,), left_out
        if set(_AGX_ORIN) <= set(names):
            return _AGX_ORIN, "the carrier board and the losses before the module's input"
    return names, _LEFT_OUT.get(source, "not known")


def readings_of(trial: TrialMessage) -> Readings | str:
    """The readings around a launch: a meter's where one was named, else the rails'. Or why there are none."""
    if trial.meter is not None:
        return _of_meter(trial.meter)
    if trial.power is None:
        return "no power was read around this launch"
    return _of_rails(trial.power)


def _of_meter(meter: MeterReadings) -> Readings | str:
    if len(meter.t_ns) < 2 or len(meter.t_ns) != len(meter.watts):
        return meter.reason or "the meter printed nothing while this launch ran"
    t_s = np.asarray(meter.t_ns, dtype=np.float64) / 1e9
    order = np.argsort(t_s, kind="stable")
    gap_s = _GAP * max(float(np.median(np.diff(t_s[order]))), 1e-3)
    watts = _plain(np.asarray(meter.watts, dtype=np.float64)[order])
    name = shlex.join(meter.program)
    return Readings(t_s[order], watts, METER, (name,), _LEFT_OUT[METER], gap_s, meter.reason)


def _of_rails(power: Power) -> Readings | str:
    if power.source is None or not power.t_ns:
        return power.reason or "the board's rails told nothing"
    rails, left_out = counted_rails(power.source, tuple(sorted(power.watts)))
    count = len(power.t_ns)
    rows = [power.watts[name] for name in rails]
    if not rows or any(len(row) != count for row in rows):
        return "the readings of the rails do not fit their times"
    table = np.array([[np.nan if watt is None else watt for watt in row] for row in rows], dtype=np.float64)
    whole = ~np.isnan(table).any(axis=0)  # a reading that lacks a rail is none
    t_s = np.asarray(power.t_ns, dtype=np.float64)[whole] / 1e9
    if t_s.size < 2 or not power.hz > 0:
        return power.reason or "the board's rails told nothing"
    order = np.argsort(t_s, kind="stable")
    t_s, watts = t_s[order], _plain(table.sum(axis=0)[whole][order])
    return Readings(t_s, watts, power.source, rails, left_out, _GAP / power.hz, power.reason)


def _plain(watts: Floats) -> Floats:
    """Less than a nanowatt is nothing: a figure over it would have no end."""
    return np.where(np.abs(watts) < 1e-9, 0.0, watts)


def integral_j(t_s: Floats, watts: Floats, begin_s: float, end_s: float) -> float:
    """Joules between two times by the trapezoid rule, the power between two readings on a straight line.

    >>> integral_j(np.array([0.0, 2.0]), np.array([1.0, 3.0]), 0.0, 2.0)
    4.0
    """
    inside = (t_s > begin_s) & (t_s < end_s)
    times = np.concatenate([[begin_s], t_s[inside], [end_s]])
    return float(np.trapezoid(np.interp(times, t_s, watts), times))


def energy_of(trial: TrialMessage) -> Energy | str:
    """The energy of a launch's measured loop, or why there is none."""
    found = readings_of(trial)
    if isinstance(found, str):
        return found
    window = trial.window
    if window is None or window.begun_ns is None or window.ended_ns is None:
        return "the launch does not say when its loop ran"
    begin_s, end_s = window.begun_ns / 1e9, window.ended_ns / 1e9
    inferences = trial.requests.served if trial.requests else len(trial.samples_ns or ())
    if not end_s > begin_s or not inferences:
        return "no inference was measured"
    coverage = _coverage(found, begin_s, end_s)
    if coverage.readings < MIN_READINGS or coverage.covered_s < MIN_COVERED * coverage.loop_s:
        text = (
            f"{coverage.readings} readings of power cover {coverage.covered_s:.1f} s of the "
            f"{coverage.loop_s:.1f} s of inferences"
        )
        return f"{text}: {found.missing}" if found.missing else text
    gross_j = integral_j(found.t_s, found.watts, begin_s, end_s)
    before, after = _idle(trial, found)
    net_j = None
    if before is not None and after is not None:
        net_j = gross_j - (before + after) / 2 * coverage.loop_s
    return Energy(gross_j, net_j, gross_j / coverage.loop_s, before, after, inferences, coverage)


def _coverage(found: Readings, begin_s: float, end_s: float) -> Coverage:
    first, last = found.t_s[:-1].clip(begin_s, end_s), found.t_s[1:].clip(begin_s, end_s)
    close = np.diff(found.t_s) <= found.gap_s
    inside = int(((found.t_s >= begin_s) & (found.t_s <= end_s)).sum())
    covered_s = float((last - first)[close].sum())
    return Coverage(found.source, found.rails, found.leaves_out, inside, covered_s, end_s - begin_s)


def _idle(trial: TrialMessage, found: Readings) -> tuple[float | None, float | None]:
    """Mean power in watts of the idle board before and after the launch; None where it was not read."""
    if trial.power is None or trial.window is None:
        return None, None
    begun_ns = trial.window.begun_ns or 0
    ends: list[float | None] = [None, None]
    for begin_ns, end_ns in trial.power.idle_ns:
        # Readings at the very ends may lie outside by the time that one takes.
        inside = found.t_s[(found.t_s >= begin_ns / 1e9) & (found.t_s <= end_ns / 1e9)]
        if inside.size >= 2 and inside[-1] > inside[0]:
            mean_w = integral_j(found.t_s, found.watts, inside[0], inside[-1]) / (inside[-1] - inside[0])
            ends[0 if begin_ns < begun_ns else 1] = mean_w
    return ends[0], ends[1]


def coverage_json(trials: Sequence[TrialMessage]) -> list[dict[str, Any]]:
    """What the energies of these launches stand on, in the public form: one entry for each kind of rails.

    Counts and seconds are sums over its launches.
    """
    found: dict[tuple[str, tuple[str, ...]], dict[str, Any]] = {}
    for one in map(energy_of, trials):
        if isinstance(one, str):
            continue
        told = one.coverage
        empty = {"leaves_out": told.leaves_out, "launches": 0, "readings": 0, "covered_s": 0.0, "loop_s": 0.0}
        entry = found.setdefault(
            (told.source, told.rails), {"source": told.source, "rails": list(told.rails), **empty}
        )
        entry["launches"] += 1
        for name in ("readings", "covered_s", "loop_s"):
            entry[name] += getattr(told, name)
    return list(found.values())


# --- what the table of metrics draws from a launch ------------------------------------------------------


def energy_mj(_: Condition, trial: TrialMessage) -> float | None:
    """Gross millijoules an inference."""
    found = energy_of(trial)
    return None if isinstance(found, str) else 1e3 * found.gross_j / found.inferences


def energy_net_mj(_: Condition, trial: TrialMessage) -> float | None:
    """Millijoules an inference beyond what the idle board takes in the same time."""
    found = energy_of(trial)
    return None if isinstance(found, str) or found.net_j is None else 1e3 * found.net_j / found.inferences


def power_w(_: Condition, trial: TrialMessage) -> float | None:
    """Mean power over the measured loop."""
    found = energy_of(trial)
    return None if isinstance(found, str) else found.power_w


def idle_power_w(_: Condition, trial: TrialMessage) -> float | None:
    """Mean power of the idle board, before and after the launch."""
    found = energy_of(trial)
    if isinstance(found, str) or found.idle_before_w is None or found.idle_after_w is None:
        return None
    return (found.idle_before_w + found.idle_after_w) / 2
