"""The rules on what held the processors down: heat, and the supply.

Who tells: the firmware of a Raspberry Pi by its throttle word, the kernel by its cooling devices, an x86
processor and a Jetson's supply by counters. A board with none of them is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.results.records.messages import BoardState, TrialMessage
from edgebench.results.verdicts.case import Case, Finding, NotJudged, points, states

# The throttle word (Raspberry Pi documentation, vcgencmd get_throttled): bit -> what is so now. Sixteen
# bits higher stands the same for some time since the board was started, until it is started again.
_CAPPED = {1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
_UNDERVOLT = {0: "under-voltage"}
_SINCE_START = 16

# The event of a Jetson Orin's supply that is an under-voltage (NVIDIA's developer guide); the others are
# over-currents.
_UNDERVOLT_EVENT = "oc1"
_ORIN = "nvidia,tegra234"


def throttled(case: Case) -> Finding | NotJudged | None:
    """Nothing lowered the clock of the processors for heat or for the supply."""
    undervolt_event = _undervolt_event(case)
    told = [False] * len(case.trials)
    reason = None
    for index, trial in enumerate(case.trials):
        ends = states(trial)
        found = _held_down(trial) or _counted(ends, leave_out=undervolt_event)
        if found is None and ends is not None:
            found = _word(ends, _CAPPED)
        if found is not None:
            return Finding(
                "THROTTLED",
                f"launch {index + case.first}: {found}",
                "Let the board cool down, give it a fan or the supply it is made for, and measure again.",
            )
        unclear = None if ends is None else _unclear(ends, _CAPPED)
        reason = reason or unclear
        counts = ends is not None and bool(set(ends[1].throttle_counts) - {undervolt_event})
        cooling = any(point.cooling for point in points(trial))
        told[index] = unclear is None and (_has_word(ends) or counts or cooling)
    if case.trials and all(told):
        return None
    return NotJudged("THROTTLED", reason or "this machine does not tell whether it was throttled")


def undervolt(case: Case) -> Finding | NotJudged | None:
    """The board's supply held its voltage."""
    event = _undervolt_event(case)
    told = [False] * len(case.trials)
    reason = None
    for index, trial in enumerate(case.trials):
        ends = states(trial)
        found = None if ends is None else _word(ends, _UNDERVOLT)
        if any(point.undervolt for point in points(trial)):
            found = found or "the kernel's sensor saw under-voltage"
        if found is None and event is not None:
            found = _counted(ends, only=event)
        if found is not None:
            return Finding(
                "UNDERVOLT",
                f"launch {index + case.first}: {found}",
                "Use the supply and the cable that the board's maker names, and measure again.",
            )
        # The kernel's own sensor speaks of the last seconds: old bits of the firmware do not cloud it.
        sensor = any(point.undervolt is not None for point in points(trial))
        unclear = None if ends is None or sensor else _unclear(ends, _UNDERVOLT)
        reason = reason or unclear
        counted = ends is not None and event is not None and event in ends[1].throttle_counts
        told[index] = sensor or counted or (unclear is None and _has_word(ends))
    if case.trials and all(told):
        return None
    return NotJudged("UNDERVOLT", reason or "this machine does not tell the voltage of its supply")


def _undervolt_event(case: Case) -> str | None:
    return _UNDERVOLT_EVENT if _ORIN in case.header.device.fingerprint.compatible else None


def _has_word(ends: Sequence[BoardState] | None) -> bool:
    return ends is not None and all(end.throttled is not None for end in ends)


def _word(ends: Sequence[BoardState], bits: dict[int, str]) -> str | None:
    """What the throttle words say of one launch: so now, before or after it, or come up during it."""
    for end, when in zip(ends, ("began", "ended"), strict=True):
        now = [name for bit, name in bits.items() if (end.throttled or 0) >> bit & 1]
        if now:
            return f"it {when} with throttled={end.throttled:#x} ({', '.join(now)})"
    if not _has_word(ends):
        return None
    before, after = (end.throttled or 0 for end in ends)
    fresh = [name for bit, name in bits.items() if (after & ~before) >> (bit + _SINCE_START) & 1]
    if fresh:
        return f"throttled went from {before:#x} to {after:#x} ({', '.join(fresh)} has occurred)"
    return None


def _unclear(ends: Sequence[BoardState], bits: dict[int, str]) -> str | None:
    """Why the throttle words leave open whether it happened in this launch; None where they do not."""
    for end in ends:
        if "throttled" in end.unknown:
            return end.unknown["throttled"]
    before = ends[0].throttled or 0
    old = [name for bit, name in bits.items() if before >> (bit + _SINCE_START) & 1]
    if old:
        return (
            f"throttled={before:#x} before a launch: {', '.join(old)} had occurred since the board was "
            "started, so a new occurrence does not show; restart the board to clear it"
        )
    return None


def _held_down(trial: TrialMessage) -> str | None:
    """The kernel's own cooling of the processors, where it was at work."""
    for point in points(trial):
        for device, state in sorted(point.cooling.items()):
            if state > 0:
                return f"the kernel held the processors down for heat ({device} at step {state})"
    return None


def _counted(
    ends: Sequence[BoardState] | None, *, leave_out: str | None = None, only: str | None = None
) -> str | None:
    """A counter of the hardware that rose in one launch."""
    if ends is None:
        return None
    before, after = (end.throttle_counts for end in ends)
    for name in sorted(set(before) & set(after)):
        rise = after[name] - before[name]
        if rise > 0 and name != leave_out and only in (None, name):
            return f"the hardware throttled {rise} times (counter {name})"
    return None
