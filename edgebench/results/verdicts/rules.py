"""The rules of the verdict: what each code means, as a function of one condition's launches.

A rule returns a finding (broken), a not-judged (this machine cannot show it), or None (kept).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebench.results.metrics import statistics
from edgebench.results.metrics.parity import NOT_FINITE
from edgebench.results.metrics.table import Aspect
from edgebench.results.records.messages import TrialMessage
from edgebench.results.verdicts import board, throttling
from edgebench.results.verdicts.case import LIMITS, Case, Finding, NotJudged, Rule, points


def _busy(case: Case) -> Finding | NotJudged | None:
    shares = []
    for trial in case.trials:
        values = [p.busy for p in (points(trial)[1:] or points(trial)) if p.busy is not None]
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
        counted = [p for p in points(trial) if p.pswpin is not None and p.pswpout is not None]
        if len(counted) > 1:
            judged = True
            first, last = counted[0], counted[-1]
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
    if case.condition.scenario == "sustained":
        wanted = case.header.requirements.sustained_s or 0.0
    if measured < wanted * (1 - 1e-6):
        return Finding(
            "TOO_SHORT",
            f"measured for {measured:.1f} s in all; {wanted:.1f} s are required",
            "Raise max_count or the duration in the suite and measure again.",
        )
    return None


def _too_few(case: Case) -> Finding | NotJudged | None:
    if case.condition.scenario == "sustained":
        return NotJudged("TOO_FEW", "a sustained launch lasts as long as was asked for, whatever it serves")
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
    """Spread and standstills within a launch, drift from its first to its last third, and launches against
    each other."""
    if case.condition.scenario == "sustained":
        return NotJudged("UNSTABLE", "a sustained launch is made to see how it changes in time")
    samples = comparable_samples(case.trials)
    if samples is None:
        return NotJudged("UNSTABLE", "each clip was measured only once, so nothing repeats")
    action = "Stop what else runs there, hold the clock still, and measure again."
    medians = []
    for number, (values, unit_ns) in enumerate(samples):
        medians.append(statistics.quantile(values, 0.5))
        if evidence := _within_launch(values, unit_ns):
            return Finding("UNSTABLE", f"launch {number + 1}: {evidence}", action)
    deviation = float(np.std(np.log(medians), ddof=1)) if len(medians) > 1 and min(medians) > 0 else 0.0
    apart = max(medians) - min(medians)
    if deviation > LIMITS.launches and apart > LIMITS.floor_ns / max(unit for _, unit in samples):
        evidence = f"the launches differ by {deviation:.1%} (standard deviation of their medians)"
        return Finding("UNSTABLE", f"{evidence}; the limit is {LIMITS.launches:.0%}", action)
    return None


def _within_launch(values: statistics.Floats, unit_ns: float) -> str | None:
    """What was not steady within one launch, in words."""
    median, floor = statistics.quantile(values, 0.5), LIMITS.floor_ns / unit_ns
    spread = statistics.mad(values)
    if spread > LIMITS.spread * median and spread > floor:
        scatter = f"{spread / median:.1%} (MAD over median)"
        return f"the samples scatter by {scatter}; the limit is {LIMITS.spread:.0%}"
    longest = float(values.max())
    share = longest / float(values.sum())
    # The board or the process stood still.
    if share > LIMITS.longest and longest > 10 * median and longest * unit_ns > LIMITS.standstill_ns:
        took = f"one inference took {longest * unit_ns / 1e9:.1f} s, {share:.0%} of the launch"
        return f"{took} and {longest / median:,.0f} times the median; the limit is {LIMITS.longest:.0%}"
    if len(values) >= LIMITS.samples_for_thirds:
        third = len(values) // 3
        first, last = (statistics.quantile(part, 0.5) for part in (values[:third], values[-third:]))
        if abs(last - first) > LIMITS.drift * median and abs(last - first) > floor:
            change = f"{last / first - 1:+.1%}"
            return f"the last third took {change} against the first; the limit is {LIMITS.drift:.0%}"
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
        told = {point.boot_id for point in points(trial) if point.boot_id}
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


# Code -> what a broken rule spoils of the launches. The size of a file is spoilt by nothing, and a busy
# board answers the same as an idle one, only later.
_TIMING: frozenset[Aspect] = frozenset({"timing"})
_RESOURCES: frozenset[Aspect] = frozenset({"timing", "memory"})
EVERYTHING: frozenset[Aspect] = frozenset({"timing", "memory", "outputs"})

RULES: tuple[tuple[str, Rule, frozenset[Aspect]], ...] = (
    ("REBOOTED", _rebooted, _RESOURCES),
    ("OUTPUT_MISMATCH", _output, EVERYTHING),
    ("THROTTLED", throttling.throttled, _TIMING),
    ("UNDERVOLT", throttling.undervolt, _TIMING),
    ("FREQ_DRIFT", board.frequency, _TIMING),
    ("GOV_CHANGED", board.governor, _TIMING),
    ("MODE_CHANGED", board.power_mode, _TIMING),
    ("HOT_START", board.hot_start, _TIMING),
    ("QUOTA", board.quota, _TIMING),
    ("BUSY_HOST", _busy, _TIMING),
    ("SWAPPED", _swapped, _RESOURCES),
    ("TOO_SHORT", _too_short, _TIMING),
    ("TOO_FEW", _too_few, _TIMING),
    ("UNSTABLE", _unstable, _TIMING),
    ("MEM_UNRESETTABLE", _memory, frozenset({"memory"})),
)

SPOILS: dict[str, frozenset[Aspect]] = {code: aspects for code, _, aspects in RULES}
