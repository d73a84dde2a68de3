"""Launches that last: messages of the agent whose latency, clock, heat and power follow plain functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from support import results_builder as b

BEGUN_NS = 500_000_000_000


def power(
    rails: dict[str, Callable[[float], float | None]],
    *,
    seconds: float,
    idle_s: float,
    hz: float = 2.0,
    source: str | None = "ina3221",
    skip: Sequence[tuple[float, float]] = (),
    reason: str | None = None,
) -> dict[str, Any]:
    """Readings of ``rails`` (watts by seconds since the loop began), but for the stretches in ``skip``.

    Half a second passes between the idle stretches and the loop.
    """
    times = np.arange(-idle_s - 0.5, seconds + idle_s + 0.5 + 1e-9, 1 / hz)
    times = [t for t in times.tolist() if not any(low < t < high for low, high in skip)]
    ends = [(-idle_s - 0.5, -0.5), (seconds + 0.5, seconds + idle_s + 0.5)]
    return {
        "source": source,
        "reason": reason,
        "hz": hz,
        "t_ns": [BEGUN_NS + round(t * 1e9) for t in times],
        "watts": {name: [watts(t) for t in times] for name, watts in rails.items()},
        "idle_ns": [[BEGUN_NS + round(t * 1e9) for t in pair] for pair in ends],
    }


def window(seconds: float) -> dict[str, Any]:
    """The measured loop."""
    return {
        "begun_ns": BEGUN_NS,
        "ended_ns": BEGUN_NS + round(seconds * 1e9),
        "elapsed_ns": round(seconds * 1e9),
        "cpu_ns": 0,
        "queue_wait_ns": None,
        "others": 0.0,
        "steal": 0.0,
    }


def energy_line(number: int, readings: dict[str, Any], *, seconds: float, inferences: int, **changes: Any):
    """The stored line of one launch for energy."""
    message = b.trial(
        number,
        id=f"t{100 + number:04d}",
        samples_ns=[round(seconds / inferences * 1e9)] * inferences,
        window=window(seconds),
        power=readings,
        **changes,
    )
    return {**b.trial_line(b.condition(), message, launch=number), "kind": "energy"}


def sustained_trial(
    *,
    seconds: float,
    latency_ms: Callable[[float], float],
    clock_hz: Callable[[float], float],
    celsius: Callable[[float], float],
    watts: Callable[[float], float],
    stride: int = 4,
    **changes: Any,
) -> dict[str, Any]:
    """A launch without a pause; one inference in ``stride`` is kept."""
    starts, samples, served, at = [], [], 0, 0.0
    while at < seconds:
        took = latency_ms(at) / 1e3
        if served % stride == 0:
            starts.append(round(at * 1e9))
            samples.append(round(took * 1e9))
        served, at = served + 1, at + took
    calm = b.telemetry()["before"]

    def point(t: float) -> dict[str, Any]:
        return {
            **calm,
            "monotonic_ns": BEGUN_NS + round(t * 1e9),
            "freq_hz": {"cpu3": clock_hz(t)},
            "temperature_c": {"cpu-thermal": celsius(t)},
        }

    series = [point(t) for t in np.arange(1.0, seconds, max(1.0, seconds / 1800)).tolist()]
    telemetry = {"before": point(-11.0), "after": point(seconds + 11.0), "series": series}
    return b.trial(
        samples_ns=samples,
        elapsed_ns=round(at * 1e9),
        window=window(at),
        requests={
            "rate_hz": None,
            "due": None,
            "served": served,
            "late": None,
            "busy_ns": round(at * 1e9),
            "stride": stride,
            "starts_ns": starts,
            "waits_ns": [0] * len(starts),
        },
        power=power({"VDD_IN": watts}, seconds=at, idle_s=10.0, hz=1.0),
        telemetry=telemetry,
        **changes,
    )
