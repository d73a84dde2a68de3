"""Launches beside those that figures of time are made of: for energy, for half an hour, for a trace.

Each is made of a launch of the same condition, with other settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edgebench.agent.runtimes.table import TRACED
from edgebench.harness.suite import Energy, Suite, Sustained

if TYPE_CHECKING:
    from edgebench.harness.plan import Trial

# Seconds a launch takes beside warm-up and the measured loop: interpreter, runtime, model. A first
# guess for the progress bar, which corrects itself as trials end.
LAUNCH_S = 0.3

# Readings in one launch, of power and of the board's state: a message has a greatest length and number of
# parts (see ``wire``), and the state of a server with 256 processors has hundreds in each reading.
MOST_POWER, MOST_STATES = 1800, 360
_TRACE_COUNT = 20


def energy(trials: Sequence[Trial], wanted: Energy) -> list[Trial]:
    """Launches of each single-stream condition around which power is read, in rounds of their own.

    Every second round goes backwards: a board that warms up draws more, and no file shall have all of it.
    """
    models = [trial for trial in _one_each(trials) if trial.condition.artifact_sha256 is not None]
    found: list[Trial] = []
    for round_ in range(wanted.launches):
        for trial in models[:: 1 if round_ % 2 == 0 else -1]:
            found.append(
                _changed(
                    trial,
                    number=len(trials) + len(found),
                    estimate_s=LAUNCH_S + wanted.duration_s + 2 * wanted.idle_s,
                    launch=round_,
                    round=round_,
                    energy=True,
                    min_duration_s=wanted.duration_s,
                    min_count=1,
                    timeout_s=trial.spec["timeout_s"] + 4 * wanted.duration_s,
                    power={"hz": wanted.hz, "idle_s": wanted.idle_s},
                )
            )
    return found


def sustained(trial: Trial, suite: Suite) -> Trial:
    """A launch as long as the suite says; where that is very long, the board is read less often."""
    wanted = suite.sustained or Sustained()
    spec = {
        **trial.spec,
        "group": None,
        "min_duration_s": wanted.duration_s,
        "min_count": 1,
        "timeout_s": suite.limits.trial_timeout_s + 4 * wanted.duration_s,
        "telemetry_hz": min(1.0, MOST_STATES / wanted.duration_s),
        "power": {"hz": min(1.0, MOST_POWER / wanted.duration_s), "idle_s": wanted.idle_s},
    }
    estimate_s = LAUNCH_S + suite.warmup.max_s / 2 + wanted.duration_s + 2 * wanted.idle_s
    return replace(trial, estimate_s=estimate_s, spec=spec)


def traces(trials: Sequence[Trial]) -> list[Trial]:
    """One launch of each single-stream condition whose runtime can write a trace, of few inferences.

    Clips of a corpus differ in length, and so do the times of their operators: such conditions have none.
    """
    found: list[Trial] = []
    for trial in _one_each(trials):
        if trial.condition.runtime in TRACED:
            found.append(
                _changed(
                    trial,
                    number=len(trials) + len(found),
                    estimate_s=LAUNCH_S,
                    launch=trial.launch + 1,
                    round=trial.round + 1,
                    trace=True,
                    # A profile grows with every inference.
                    min_duration_s=0.0,
                    min_count=_TRACE_COUNT,
                    rate_hz=None,
                    warmup={**trial.spec["warmup"], "max_s": 1e-9},
                )
            )
    return found


def _one_each(trials: Sequence[Trial]) -> list[Trial]:
    """The last launch of each single-stream condition."""
    single = [trial for trial in trials if trial.measures and trial.condition.scenario == "single_stream"]
    return list({trial.condition: trial for trial in single}.values())


def _changed(
    trial: Trial,
    *,
    number: int,
    estimate_s: float,
    launch: int,
    round: int,
    trace: bool = False,
    energy: bool = False,
    **spec: Any,
) -> Trial:
    """A launch with these settings, which stands alone: it is never repeated."""
    id_ = f"t{number:04d}"
    alone = {"id": id_, "group": None, "predictions_of": None, "trace": trace}
    return replace(
        trial,
        id=id_,
        launch=launch,
        round=round,
        estimate_s=estimate_s,
        spec={**trial.spec, **alone, **spec},
        trace=trace,
        energy=energy,
    )
