"""Figures of what was read or served over a longer time, each null with its own reason."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.results.metrics import energy, requests
from edgebench.results.metrics.cost import NO_LAUNCH, launch_figure
from edgebench.results.metrics.metric import Figure
from edgebench.results.metrics.table import METRICS, missing
from edgebench.results.records.messages import TrialMessage
from edgebench.results.records.record import Condition, RunHeader

ENERGIES = ("energy_mj", "energy_net_mj")
POWERS = ("power_w", "idle_power_w")


def energy_figures(
    header: RunHeader, condition: Condition, trials: Sequence[TrialMessage]
) -> dict[str, Figure]:
    """Energy an inference, gross and net, with the powers behind them.

    ``trials``: launches around which power was read that ended well. Launches without energy are left
    out of a figure, and give the reason where all are.
    """
    why = _why_none(header, condition, trials)
    if why is not None:
        return {name: missing(name, why) for name in ENERGIES}
    figures = {name: launch_figure(METRICS[name], condition, trials) for name in (*ENERGIES, *POWERS)}
    if figures["energy_net_mj"].value is None:
        reason = "the power of the idle board was not read before and after a launch"
        figures["energy_net_mj"] = missing("energy_net_mj", reason)
    return {name: one for name, one in figures.items() if name in ENERGIES or one.value is not None}


def _why_none(header: RunHeader, condition: Condition, trials: Sequence[TrialMessage]) -> str | None:
    """Why a condition has no energy, or None where it has."""
    if condition.scenario == "offline":
        return "an utterance's energy follows its length: see the single_stream records"
    if condition.artifact_sha256 is None:
        return "the null runtime computes nothing"
    if trials:
        found = [energy.energy_of(trial) for trial in trials]
        reasons = [one for one in found if isinstance(one, str)]
        return reasons[0] if len(reasons) == len(found) else None
    if any(trial.energy and trial.condition == condition for trial in header.trials):
        return NO_LAUNCH
    if header.suite.get("energy"):
        source = header.device.fingerprint.power
        return f"{(source and source.reason) or 'this board shows no power rails'}, and no meter was named"
    return METRICS["energy_mj"].absent


def settling(condition: Condition, trials: Sequence[TrialMessage]) -> dict[str, Figure]:
    """``settle_s`` of a long launch: null where one of its launches never settled."""
    if condition.scenario != "sustained" or condition.artifact_sha256 is None:
        return {}
    metric = METRICS["settle_s"]
    if not trials:
        return {"settle_s": missing("settle_s", NO_LAUNCH)}
    if any(requests.settle_s(condition, trial) is None for trial in trials):
        return {"settle_s": missing("settle_s", metric.absent)}
    return {"settle_s": launch_figure(metric, condition, trials)}
