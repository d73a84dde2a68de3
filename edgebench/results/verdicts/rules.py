"""The rules of the verdict: what each code means, as a function of one condition's launches.

A rule returns a finding (broken), a not-judged (this machine cannot show it), or None (kept).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgebench.results.metrics import statistics
from edgebench.results.metrics.parity import NOT_FINITE
from edgebench.results.metrics.table import Aspect, Figure
from edgebench.results.records.messages import TelemetryPoint, TrialMessage
from edgebench.results.records.record import Condition, RunHeader


@dataclass(frozen=True)
class Limits:
    """The thresholds of every rule, in one place."""

    # A Pi steps 600/750/1000/1500 MHz: the smallest step is 20 %, turbo jitter of a PC about 5 %.
    frequency_drop: float = 0.10
    # Mean share of all CPUs used by other processes during a launch.
    busy: float = 0.10
    # MAD over median within a launch, and first against last third of a launch.
    spread: float = 0.05
    drift: float = 0.05
    # Standard deviation of the logarithms of the launches' medians: launches differ by memory layout
    # alone by some percent. (Highest over lowest would grow with the number of launches: the range of
    # 3 normal values is 1.7 deviations wide, that of 12 is 3.3.)
    launches: float = 0.06
    # No difference below this is called instability: the clock ticks at 54 MHz on a Pi, and the
    # null runtime takes a few hundred nanoseconds.
    floor_ns: float = 1000.0
    # Fewer samples than this say nothing about thirds.
    samples_for_thirds: int = 9


LIMITS = Limits()


@dataclass(frozen=True)
class Finding:
    """One broken rule: its code, the evidence, what to do next."""

    code: str
    evidence: str
    action: str


@dataclass(frozen=True)
class NotJudged:
    """One rule that could not be judged, and why."""

    code: str
    reason: str


@dataclass(frozen=True)
class Case:
    """What the rules look at. ``trials``: the launches that ended well.

    ``parity``, ``tolerance``: largest difference from the host's fp32 output and what is allowed.
    ``mismatch``: why the outputs cannot even be subtracted (not finite, another shape), or None.
    """

    condition: Condition
    header: RunHeader
    trials: tuple[TrialMessage, ...]
    parity: Figure
    tolerance: float | None
    mismatch: str | None = None


def _points(trial: TrialMessage) -> tuple[TelemetryPoint, ...]:
    return trial.telemetry.points() if trial.telemetry else ()


def _frequency(case: Case) -> Finding | NotJudged | None:
    """Clocks of the measured CPUs while the trial ran: lowest against highest, over all launches."""
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
                "Set the governor to performance, cool the board, and measure again.",
            )
    return None


def _governor(case: Case) -> Finding | NotJudged | None:
    seen: dict[str, set[str]] = {
        cpu: {name} for cpu, name in case.header.device.fingerprint.governors.items()
    }
    points = [point for trial in case.trials for point in _points(trial)]
    if not any(point.governor for point in points):
        return NotJudged("GOV_CHANGED", "this machine shows no governor (no cpufreq)")
    for point in points:
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


def _hot_start(case: Case) -> Finding | NotJudged | None:
    limit = case.header.requirements.max_start_temperature_c
    if limit is None:
        return NotJudged("HOT_START", "no starting temperature is set for this device")
    starts = []
    for trial in case.trials:
        before = trial.telemetry.before if trial.telemetry else None
        starts += [(t, zone) for zone, t in before.temperature_c.items() if t is not None] if before else []
    if not starts:
        return NotJudged("HOT_START", "this machine shows no temperature")
    hottest, zone = max(starts)
    if hottest > limit:
        return Finding(
            "HOT_START",
            f"a launch began at {hottest:.1f} C ({zone}); the set point is {limit:.1f} C",
            "Let the board cool down, or give it a fan, and measure again.",
        )
    return None


def _busy(case: Case) -> Finding | NotJudged | None:
    shares = []
    for trial in case.trials:
        values = [p.busy for p in (_points(trial)[1:] or _points(trial)) if p.busy is not None]
        if values:
            shares.append(float(np.mean(values)))
    if not shares:
        return NotJudged("BUSY_HOST", "no telemetry says what else was running")
    if max(shares) > LIMITS.busy:
        return Finding(
            "BUSY_HOST",
            f"other processes used {max(shares):.0%} of all CPUs in a launch; the limit is {LIMITS.busy:.0%}",
            "Stop what else runs on the device and measure again.",
        )
    return None


def _swapped(case: Case) -> Finding | NotJudged | None:
    pages, judged = 0, False
    for trial in case.trials:
        points = [p for p in _points(trial) if p.pswpin is not None and p.pswpout is not None]
        if len(points) > 1:
            judged = True
            first, last = points[0], points[-1]
            pages += (last.pswpin or 0) - (first.pswpin or 0) + (last.pswpout or 0) - (first.pswpout or 0)
    if not judged:
        return NotJudged("SWAPPED", "no telemetry counts swapped pages")
    if pages > 0:
        return Finding(
            "SWAPPED",
            f"{pages} pages went to or came from swap during the launches",
            "Free memory on the device, or turn swap off, and measure again.",
        )
    return None


def _too_short(case: Case) -> Finding | NotJudged | None:
    if case.condition.artifact == "null":
        return NotJudged("TOO_SHORT", "the null runtime ends at the cap on samples, not at a duration")
    measured = sum(trial.elapsed_ns or 0 for trial in case.trials) / 1e9
    wanted = case.header.requirements.min_duration_s
    if measured < wanted * (1 - 1e-6):
        return Finding(
            "TOO_SHORT",
            f"measured for {measured:.1f} s in all; {wanted:.1f} s are required",
            "Raise max_count or the duration in the suite and measure again.",
        )
    return None


def _too_few(case: Case) -> Finding | None:
    count = sum(len(trial.samples_ns or ()) for trial in case.trials)
    wanted = case.header.requirements.min_count
    if count < wanted:
        return Finding(
            "TOO_FEW",
            f"{count} inferences were measured; {wanted} are required",
            "Give the suite a longer duration or timeout and measure again.",
        )
    return None


def _unstable(case: Case) -> Finding | NotJudged | None:
    """Spread within a launch, drift from its first to its last third, and launches against each other."""
    samples = comparable_samples(case.trials)
    if samples is None:
        return NotJudged("UNSTABLE", "each clip was measured only once, so nothing repeats")
    action = "Stop what else runs there, hold the clock still, and measure again."
    medians = []
    for number, (values, unit_ns) in enumerate(samples):
        median = statistics.quantile(values, 0.5)
        medians.append(median)
        floor = LIMITS.floor_ns / unit_ns
        spread = statistics.mad(values)
        if spread > LIMITS.spread * median and spread > floor:
            evidence = f"launch {number + 1}: the samples scatter by {spread / median:.1%} (MAD over median)"
            return Finding("UNSTABLE", f"{evidence}; the limit is {LIMITS.spread:.0%}", action)
        if len(values) >= LIMITS.samples_for_thirds:
            third = len(values) // 3
            first, last = (statistics.quantile(part, 0.5) for part in (values[:third], values[-third:]))
            if abs(last - first) > LIMITS.drift * median and abs(last - first) > floor:
                evidence = (
                    f"launch {number + 1}: the last third took {last / first - 1:+.1%} against the first"
                )
                return Finding("UNSTABLE", f"{evidence}; the limit is {LIMITS.drift:.0%}", action)
    deviation = float(np.std(np.log(medians), ddof=1)) if len(medians) > 1 and min(medians) > 0 else 0.0
    apart = max(medians) - min(medians)
    if deviation > LIMITS.launches and apart > LIMITS.floor_ns / max(unit for _, unit in samples):
        evidence = f"the launches differ by {deviation:.1%} (standard deviation of their medians)"
        return Finding("UNSTABLE", f"{evidence}; the limit is {LIMITS.launches:.0%}", action)
    return None


def comparable_samples(trials: Sequence[TrialMessage]) -> list[tuple[statistics.Floats, float]] | None:
    """Samples of each launch on one scale, with the nanoseconds that 1 stands for.

    Clips of a pack differ in length, so offline samples are divided by their clip's median over
    all passes and launches; None where each clip was measured only once.
    """
    launches = [np.asarray(trial.samples_ns or (), dtype=np.float64) for trial in trials]
    launches = [launch for launch in launches if launch.size]
    if not launches:
        return None
    clips = next((len(t.predictions.clips) for t in trials if t.predictions and t.predictions.clips), 0)
    if not clips:
        return [(launch, 1.0) for launch in launches]
    places = [np.arange(launch.size) % clips for launch in launches]
    everything, where = np.concatenate(launches), np.concatenate(places)
    if everything.size < 2 * clips:
        return None
    order = np.argsort(where, kind="stable")
    groups = np.split(everything[order], np.cumsum(np.bincount(where, minlength=clips))[:-1])
    usual = np.array([np.median(group) for group in groups])
    scale = float(np.median(everything))
    return [(launch / usual[place], scale) for launch, place in zip(launches, places, strict=True)]


def _rebooted(case: Case) -> Finding | NotJudged | None:
    parts: dict[int, set[str]] = {}
    for trial in case.trials:
        told = {point.boot_id for point in _points(trial) if point.boot_id}
        parts.setdefault(trial.part, set()).update(told)
    if not any(parts.values()):
        return NotJudged("REBOOTED", "no telemetry names the boot")
    # The header's fingerprint is of the first part; a later one was seen to be on the same board.
    if case.header.device.fingerprint.boot_id and 1 in parts:
        parts[1].add(case.header.device.fingerprint.boot_id)
    boots = max(parts.values(), key=len)
    if len(boots) > 1:
        return Finding(
            "REBOOTED",
            f"the launches and the fingerprint come from {len(boots)} different boots of the device",
            "Find out why it restarted (power, mostly) and measure again.",
        )
    return None


def _memory(case: Case) -> Finding | NotJudged | None:
    judged = [trial.memory for trial in case.trials if trial.memory]
    if not judged:
        return NotJudged("MEM_UNRESETTABLE", "no memory was measured")
    if not all(memory.resettable for memory in judged):
        return Finding(
            "MEM_UNRESETTABLE",
            "the kernel refused to reset the peak of resident memory (/proc/self/clear_refs)",
            "Use a kernel with CONFIG_PROC_PAGE_MONITOR; peak RSS here may belong to an earlier phase.",
        )
    return None


def _advice(case: Case) -> str:
    """What to do about outputs that differ: it depends on what the file was compared with."""
    if case.mismatch and NOT_FINITE in case.mismatch:
        return (
            "Do not ship this file: find the operator that overflows (half precision, the logarithm of 0, a "
            "division by 0) and keep it in float32."
        )
    sha = case.condition.artifact_sha256
    artifact = next((one for one in case.header.artifacts if one.sha256 == sha), None)
    if artifact is not None and (artifact.manifest or {}).get("parent"):
        return "Do not ship this file on this board: quantize it differently, or use another runtime version."
    return (
        "Do not ship this file on this board: it answers otherwise than on the host. Use another version of "
        "the runtime there."
    )


def _output(case: Case) -> Finding | NotJudged | None:
    action = _advice(case)
    if case.mismatch:
        return Finding("OUTPUT_MISMATCH", case.mismatch, action)
    if case.tolerance is None or case.parity.value is None:
        return NotJudged("OUTPUT_MISMATCH", case.parity.reason or "no tolerance is known")
    if not case.parity.value <= case.tolerance:
        return Finding(
            "OUTPUT_MISMATCH",
            f"the outputs differ from the host's fp32 by up to {case.parity.value:.3g}; "
            f"{case.tolerance:.3g} is allowed",
            action,
        )
    return None


Rule = Callable[[Case], Finding | NotJudged | None]

# Code -> what a broken rule spoils of the launches. The size of a file is spoilt by nothing, and a busy
# board answers the same as an idle one, only later.
_TIMING: frozenset[Aspect] = frozenset({"timing"})
_RESOURCES: frozenset[Aspect] = frozenset({"timing", "memory"})
EVERYTHING: frozenset[Aspect] = frozenset({"timing", "memory", "outputs"})

RULES: tuple[tuple[str, Rule, frozenset[Aspect]], ...] = (
    ("REBOOTED", _rebooted, _RESOURCES),
    ("OUTPUT_MISMATCH", _output, EVERYTHING),
    ("FREQ_DRIFT", _frequency, _TIMING),
    ("GOV_CHANGED", _governor, _TIMING),
    ("HOT_START", _hot_start, _TIMING),
    ("BUSY_HOST", _busy, _TIMING),
    ("SWAPPED", _swapped, _RESOURCES),
    ("TOO_SHORT", _too_short, _TIMING),
    ("TOO_FEW", _too_few, _TIMING),
    ("UNSTABLE", _unstable, _TIMING),
    ("MEM_UNRESETTABLE", _memory, frozenset({"memory"})),
)

SPOILS: dict[str, frozenset[Aspect]] = {code: aspects for code, _, aspects in RULES}
