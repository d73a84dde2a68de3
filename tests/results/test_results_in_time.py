"""Sustained launches and paced requests: minutes, settling and misses against what the test works out."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import launches_in_time as in_time
from support import results_builder as b

from edgebench.results import summarise
from edgebench.results.in_time import time_course
from edgebench.results.records.messages import TrialMessage
from edgebench.results.report import run_markdown, run_page

SUSTAINED = b.condition(scenario="sustained")
HALF_HOUR = 1800.0


def warming(t: float) -> float:
    """20 ms, and up to 30 ms as the board warms up, with a time constant of 200 s."""
    return 20 + 10 * (1 - np.exp(-t / 200))


def launch(seconds: float = HALF_HOUR, latency_ms=warming, **changes):
    return in_time.sustained_trial(
        seconds=seconds,
        latency_ms=latency_ms,
        clock_hz=lambda t: 1.5e9 if t < 600 else 1.0e9,
        celsius=lambda t: 50 + t / 60,
        watts=lambda t: 4 + t / 900,
        **changes,
    )


def run(*messages):
    requirements = b.header()["requirements"] | {"sustained_s": HALF_HOUR}
    planned = [
        {"id": f"t{n:04d}", "condition": SUSTAINED, "launch": n, "round": n, "estimate_s": 1.0}
        for n in range(len(messages))
    ]
    lines = [b.trial_line(SUSTAINED, one, launch=n) for n, one in enumerate(messages)]
    return summarise(b.records([b.header(requirements=requirements, trials=planned), *lines]))


@pytest.fixture(scope="module")
def summary():
    return run(launch())


def test_the_first_minute_against_the_last(summary) -> None:
    (row,) = summary.rows
    first = np.median(warming(np.linspace(0, 60, 1001)))
    last = np.median(warming(np.linspace(1740, 1800, 1001)))
    assert row.figures["latency_first_ns"].value == pytest.approx(first * 1e6, rel=3e-3)
    assert row.figures["latency_last_ns"].value == pytest.approx(last * 1e6, rel=1e-3)
    assert row.figures["latency_change"].value == pytest.approx(last / first, rel=3e-3)
    told = time_course(row.good[0])
    assert told.first.clock_mhz == 1500 and told.last.clock_mhz == 1000
    assert told.first.temperature_c == pytest.approx(50.5, abs=0.02)
    assert told.last.temperature_c == pytest.approx(79.5, abs=0.02)
    # 4 W and a watt more every 15 minutes, in the middle of either minute.
    assert told.first.power_w == pytest.approx(4 + 30 / 900, rel=1e-3)
    assert told.last.power_w == pytest.approx(4 + 1770 / 900, rel=1e-3)


def test_it_settles_once_the_latency_stays_within_five_percent_of_the_end(summary) -> None:
    (row,) = summary.rows
    # 0.95 of 30 ms is 28.5 ms, at -200 ln(0.15) = 379 s; stretches are 10 s long.
    level = np.median(warming(np.linspace(1440, 1800, 10_001)))
    crossed = -200 * np.log(1 - (0.95 * level - 20) / 10)
    assert crossed < row.figures["settle_s"].value < crossed + 11


def test_a_constant_launch_is_settled_from_the_start() -> None:
    (row,) = run(launch(300.0, lambda t: 20.0)).rows
    assert row.figures["settle_s"].value == 0.0


@pytest.mark.parametrize(
    "latency_ms",
    [
        lambda t: 20 + t / 10,  # slower and slower
        lambda t: 20.0 if t % 60 < 30 else 26.0,  # up and down
        lambda t: 20.0 if t < 270 else 30.0,  # a step in the last fifth
    ],
    ids=["drift", "swing", "late step"],
)
def test_a_launch_that_never_settles_has_no_such_time(latency_ms) -> None:
    (row,) = run(launch(300.0, latency_ms)).rows
    assert row.figures["settle_s"].value is None and "never settled" in row.figures["settle_s"].reason


def test_the_energy_of_a_long_launch_is_over_all_its_inferences(summary) -> None:
    (row,) = summary.rows
    message = row.good[0]
    assert len(message.samples_ns) * 4 == pytest.approx(message.requests.served, abs=4)
    joules = 4 * HALF_HOUR + HALF_HOUR**2 / 2 / 900
    expected = joules / message.requests.served * 1e3
    assert row.figures["energy_mj"].value == pytest.approx(expected, rel=1e-3)


def test_what_changes_in_time_is_no_instability_and_the_state_codes_stay(summary) -> None:
    (row,) = summary.rows
    not_judged = {rule.code for rule in row.verdict.not_judged}
    assert {"UNSTABLE", "TOO_FEW"} <= not_judged
    assert "FREQ_DRIFT" in row.verdict.codes and "TOO_SHORT" not in row.verdict.codes
    (short,) = run(launch(900.0, lambda t: 20.0)).rows
    assert "TOO_SHORT" in short.verdict.codes


def test_the_report_tells_and_draws_it(summary) -> None:
    text = run_markdown(summary)
    assert "Sustained: the first minute against the last" in text and "1,500 → 1,000" in text
    page = run_page(summary)
    assert 'id="course-plot"' in page
    assert re.search(r'"settle_s":\s*38\d', page)


def paced(**changes) -> TrialMessage:
    """100 requests, 10 a second, of 30 ms; then what ``changes`` say of them."""
    facts = {
        "rate_hz": 10.0,
        "due": 100,
        "served": 100,
        "late": 0,
        "busy_ns": 3_000_000_000,
        "stride": 1,
        "starts_ns": [n * 100_000_000 for n in range(100)],
        "waits_ns": [0] * 100,
        **changes,
    }
    condition = b.condition(rate_hz=10.0)
    message = b.trial(
        samples_ns=[30_000_000] * 100, elapsed_ns=10_000_000_000, window=in_time.window(10.0), requests=facts
    )
    (row,) = summarise(b.records([b.header(launches=1), b.trial_line(condition, message)])).rows
    return row


def test_idle_share_and_missed_deadlines() -> None:
    row = paced()
    assert row.figures["idle_share"].value == pytest.approx(0.7)
    assert row.figures["deadline_miss_share"].value == 0.0
    assert row.figures["response_p99_ns"].value == 30_000_000
    # 5 were late, and 8 of those due never began.
    assert paced(due=108, late=5).figures["deadline_miss_share"].value == pytest.approx(13 / 108)
    waits = [0] * 90 + [50_000_000] * 10
    assert paced(waits_ns=waits).figures["response_p99_ns"].value == 80_000_000
    assert row.to_json()["rate_hz"] == 10.0


def test_without_a_rate_there_are_no_deadlines(summary) -> None:
    (row,) = summary.rows
    assert "deadline_miss_share" not in row.figures and "idle_share" not in row.figures
