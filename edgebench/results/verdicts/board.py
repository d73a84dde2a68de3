"""The rules on the state that the board was in: clocks, governor, power mode, heat, processor quota.

Each answers from what the board told. Where it told nothing the rule is not judged, never kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgebench.agent.sensors.thermal import PROCESSOR_ZONES
from edgebench.results.records.messages import TelemetryPoint, TrialMessage
from edgebench.results.verdicts.case import LIMITS, Case, Finding, NotJudged, points, states

_STEADY = "Set the governor to performance (--condition), cool the board, and measure again."


def frequency(case: Case) -> Finding | NotJudged | None:
    """Clocks of the measured processors: as the kernel shows them in a launch, and as they truly are.

    The kernel of a Raspberry Pi shows the clock that it asked for; only the firmware knows the true one.
    """
    return _shown_clocks(case) or _true_clocks(case)


def _shown_clocks(case: Case) -> Finding | NotJudged | None:
    """Lowest against highest that the kernel shows while launches run, over all launches."""
    seen: dict[str, list[float]] = {}
    for trial in case.trials:
        series = trial.telemetry.series if trial.telemetry else ()
        # The first point may still show the governor's way up.
        for point in series[1:] if len(series) > 2 else series:
            measured = {f"cpu{n}" for n in trial.affinity or ()} or set(point.freq_hz)
            for cpu in measured & set(point.freq_hz):
                value = point.freq_hz[cpu]
                if value:
                    seen.setdefault(cpu, []).append(value)
    if not seen:
        return NotJudged("FREQ_DRIFT", "this machine shows no clock frequencies (no cpufreq)")
    for cpu, values in sorted(seen.items()):
        if min(values) < (1 - LIMITS.frequency_drop) * max(values):
            return Finding(
                "FREQ_DRIFT",
                f"{cpu} ran at {min(values) / 1e6:.0f} to {max(values) / 1e6:.0f} MHz while it was measured",
                _STEADY,
            )
    return None


def _true_clocks(case: Case) -> Finding | NotJudged | None:
    """What the firmware of a Raspberry Pi measured right after each launch, beside the kernel's figure."""
    if not any(name.startswith("raspberrypi,") for name in case.header.device.fingerprint.compatible):
        return None
    missing = None
    for number, trial in enumerate(case.trials, case.first):
        state = trial.telemetry.after.state if trial.telemetry and trial.telemetry.after else None
        if state is None or not state.firmware_hz or not state.kernel_hz:
            unknown = state.unknown.get("firmware_hz") if state else None
            missing = missing or unknown or "the record does not hold the firmware's"
        elif state.firmware_hz < (1 - LIMITS.clock_beneath) * state.kernel_hz:
            return Finding(
                "FREQ_DRIFT",
                f"launch {number}: the kernel shows {state.kernel_hz / 1e6:.0f} MHz, and the firmware ran "
                f"the processor at {state.firmware_hz / 1e6:.0f} MHz",
                _STEADY,
            )
    if missing is not None:
        return NotJudged(
            "FREQ_DRIFT",
            f"the kernel of a Raspberry Pi shows the clock it asked for; the true one: {missing}",
        )
    return None


def governor(case: Case) -> Finding | NotJudged | None:
    """The frequency governors of the fingerprint and of every reading are one."""
    wanted = case.header.conditioning
    seen: dict[str, set[str]] = {
        cpu: {wanted.governor if wanted and wanted.governor else name}
        for cpu, name in case.header.device.fingerprint.governors.items()
    }
    read = [point for trial in case.trials for point in points(trial)]
    if not any(point.governor for point in read):
        return NotJudged("GOV_CHANGED", "this machine shows no governor (no cpufreq)")
    for point in read:
        for cpu, name in point.governor.items():
            if name:
                seen.setdefault(cpu, set()).add(name)
    for cpu, names in sorted(seen.items()):
        if len(names) > 1:
            return Finding(
                "GOV_CHANGED",
                f"the governor of {cpu} was {' and '.join(sorted(names))} within one condition",
                "Stop what changes it (a power daemon, mostly) and measure again.",
            )
    return None


def power_mode(case: Case) -> Finding | NotJudged | None:
    """The power mode and the clocks that it allows are the same in all readings."""
    board = case.header.device.fingerprint
    ends = [state for trial in case.trials for state in states(trial) or ()]
    modes = [state.power_mode.name for state in ends if state.power_mode]
    locked = [state.clocks_locked for state in ends if state.clocks_locked is not None]
    wanted = case.header.conditioning
    if wanted and wanted.mode:
        modes.insert(0, wanted.mode)
    elif board.power_mode:
        modes.insert(0, board.power_mode.name)
    # The fingerprint is from before the board was brought into the state that was asked for.
    if board.clocks_locked is not None and not (wanted and (wanted.mode or wanted.clocks)):
        locked.insert(0, board.clocks_locked)
    read = [point for trial in case.trials for point in points(trial)]
    changed = _changed(
        ("the power mode was", modes),
        ("jetson_clocks was", ["on" if one else "off" for one in locked]),
        *_limits(read),
    )
    if changed:
        return Finding(
            "MODE_CHANGED",
            f"{changed} within one condition",
            "Set the mode once (nvpmodel, jetson_clocks, cpufreq), stop what changes it, and measure again.",
        )
    reasons = [state.unknown["power_mode"] for state in ends if "power_mode" in state.unknown]
    if reasons:
        return NotJudged("MODE_CHANGED", reasons[0])
    if not any(point.limits_hz for point in read) and not modes:
        return NotJudged("MODE_CHANGED", "this machine shows no power mode and no limits of its clocks")
    return None


def _limits(read: Iterable[TelemetryPoint]) -> list[tuple[str, list[str]]]:
    """The clock limits that were seen, by group of processors.

    While the kernel holds the processors down for heat, it lowers the limit itself: that is THROTTLED.
    """
    seen: dict[str, list[str]] = {}
    for point in read:
        if not any(state > 0 for state in point.cooling.values()):
            for group, ends in point.limits_hz.items():
                text = " to ".join(f"{end / 1e6:.0f}" for end in ends) + " MHz"
                seen.setdefault(group, []).append(text)
    return [(f"the clocks allowed to {group} were", texts) for group, texts in sorted(seen.items())]


def _changed(*seen: tuple[str, list[str]]) -> str | None:
    """What was not one thing throughout, in words."""
    for what, values in seen:
        distinct = list(dict.fromkeys(values))
        if len(distinct) > 1:
            return f"{what} {' and '.join(distinct)}"
    return None


def hot_start(case: Case) -> Finding | NotJudged | None:
    """No launch begins at a temperature at which the board slows down."""
    limit = case.header.requirements.max_start_temperature_c
    if limit is None:
        return NotJudged("HOT_START", "no starting temperature is set for this device")
    starts = [start for trial in case.trials for start in _starting_temperatures(trial)]
    if not starts:
        return NotJudged("HOT_START", "this machine shows no temperature")
    hottest, zone = max(starts)
    if hottest >= limit:
        return Finding(
            "HOT_START",
            f"a launch began at {hottest:.1f} C ({zone}); the limit of this device is {limit:.1f} C",
            "Give it a fan, or let it cool down (--condition cool=...), and measure again.",
        )
    return None


def _starting_temperatures(trial: TrialMessage) -> list[tuple[float, str]]:
    before = trial.telemetry.before if trial.telemetry else None
    return processor_temperatures(before) if before else []


def processor_temperatures(point: TelemetryPoint) -> list[tuple[float, str]]:
    """Degrees Celsius and name of the thermal zones of a processor."""
    return [
        (celsius, zone)
        for zone, celsius in point.temperature_c.items()
        if celsius is not None and any(word in zone.lower() for word in PROCESSOR_ZONES)
    ]


def quota(case: Case) -> Finding | NotJudged | None:
    """No launch is stopped because its processor quota was used up."""
    stopped, stopped_ns, cpus, judged = 0, 0, None, bool(case.trials)
    for trial in case.trials:
        ends = states(trial)
        if ends is None or ends[0].quota is None or ends[1].quota is None:
            judged = False
            continue
        before, after = ends[0].quota, ends[1].quota
        stopped += max(0, after.nr_throttled - before.nr_throttled)
        stopped_ns += max(0, after.throttled_ns - before.throttled_ns)
        cpus = after.quota_cpus if after.quota_cpus is not None else cpus
    if stopped:
        allowed = f"{cpus:g} processors" if cpus is not None else "the processors"
        return Finding(
            "QUOTA",
            f"a quota of {allowed} stopped the launches {stopped} times, for {stopped_ns / 1e9:.1f} s in all",
            "Lift the quota (cpu.max of the cgroup, --cpus of a container) or use fewer threads.",
        )
    return None if judged else NotJudged("QUOTA", "no cgroup of this machine counts stops by a quota")
