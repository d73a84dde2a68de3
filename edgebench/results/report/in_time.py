"""Tables of energy, of sustained launches and of paced requests, and what the page draws of the second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgebench.results.in_time import TimeCourse, time_course
from edgebench.results.metrics import requests
from edgebench.results.metrics.energy import Energy, energy_of
from edgebench.results.records.record import LaunchRecord
from edgebench.results.report.tables import (
    Cell,
    Column,
    Section,
    figure_cell,
    make_section,
    row_name,
    runtime_cells,
    runtime_columns,
    verdict_cell,
)
from edgebench.results.report.words import NOTHING, digits, seconds
from edgebench.results.summary import Row, RunSummary
from edgebench.results.verdicts.verdict import state_findings

_MOST_POINTS = 2000  # of a line on the page; more cannot be told apart


def in_time_sections(summary: RunSummary) -> list[Section]:
    """The tables of what was read or served over a longer time, where the run has any."""
    found = [_energy(summary), _sustained(summary), _paced(summary)]
    return [section for section in found if section is not None and section.rows]


def _energy(summary: RunSummary) -> Section | None:
    asked = summary.header.suite.get("energy") or summary.header.meter
    shown = [
        row
        for row in summary.rows
        if not row.is_null
        and (row.energy or asked)
        and row.condition.scenario in ("single_stream", "sustained")
    ]
    if not shown:
        return None
    columns = (
        Column("Artifact", right=False),
        *runtime_columns(shown),
        Column("Scenario", 6, right=False),
        Column("Input"),
        Column("Threads", 7),
        Column("Energy (mJ)"),
        Column("Net (mJ)"),
        Column("Power (W)", 3),
        Column("Idle before (W)", 4),
        Column("after (W)", 4),
        Column("Readings", 8),
        Column("Launches", 5),
        Column("Codes", 2, right=False),
    )
    rows = []
    for row in shown:
        found = [one for one in map(_energy_of, row.energy) if isinstance(one, Energy)]
        rows.append(
            (
                Cell(row.condition.artifact),
                *runtime_cells(shown, row),
                Cell(row.condition.scenario),
                Cell(seconds(row.condition.input_s)),
                Cell(str(row.condition.threads)),
                figure_cell(row.figures, "energy_mj"),
                figure_cell(row.figures, "energy_net_mj"),
                figure_cell(row.figures, "power_w", interval=False),
                Cell(_mean([one.idle_before_w for one in found])),
                Cell(_mean([one.idle_after_w for one in found])),
                Cell(_readings(found)),
                Cell(f"{len(found)} of {len(row.energy)}"),
                Cell(_codes(summary, row)),
            )
        )
    return make_section("Energy of an inference", columns, rows, *_energy_notes(shown))


def _energy_notes(rows: Sequence[Row]) -> list[str]:
    notes = [
        "Energy: the power integrated over the inferences of a launch, divided by them. Net: less what the "
        "idle board takes, read before and after each launch. In brackets: 95 % interval over launches. "
        "Codes: of the board's state in these launches, and how many of them something else disturbed."
    ]
    covers: dict[str, None] = {}
    lost: dict[str, int] = {}
    for row in rows:
        for found in map(_energy_of, row.energy):
            if isinstance(found, Energy):
                rails, source = " + ".join(found.coverage.rails), found.coverage.source
                covers[f"Read from {source}: {rails}. Not in it: {found.coverage.leaves_out}."] = None
            else:
                lost[found] = lost.get(found, 0) + 1
    total = sum(len(row.energy) for row in rows)
    return [
        *notes,
        *covers,
        *(f"{count} of {total} launches have no energy: {why}." for why, count in lost.items()),
    ]


def _energy_of(line: LaunchRecord) -> Energy | str:
    return energy_of(line.trial)


def _readings(found: Sequence[Energy]) -> str:
    """How many readings cover how much of the loops: "21 in 10.0 of 10.0 s", of a launch on average."""
    if not found:
        return NOTHING
    parts = [one.coverage for one in found]
    count, covered, loop = (
        np.mean(values)
        for values in (
            [part.readings for part in parts],
            [part.covered_s for part in parts],
            [part.loop_s for part in parts],
        )
    )
    return f"{count:.0f} in {covered:.1f} of {loop:.1f} s"


def _codes(summary: RunSummary, row: Row) -> str:
    told = [
        state_findings(row.condition, line.trial, summary.header, number=number)
        for number, line in enumerate(row.energy, 1)
    ]
    codes = list(dict.fromkeys(finding.code for findings in told for finding in findings))
    disturbed = sum(bool(line.trial.disturbed) for line in row.energy)
    if disturbed:
        codes.append(f"disturbed: {disturbed} of {len(row.energy)}")
    return ", ".join(codes) or "none"


def _sustained_rows(summary: RunSummary) -> list[Row]:
    return [row for row in summary.rows if row.condition.scenario == "sustained" and not row.is_null]


def _sustained(summary: RunSummary) -> Section | None:
    shown = _sustained_rows(summary)
    columns = (
        Column("Artifact", right=False),
        *runtime_columns(shown),
        Column("Input", 4),
        Column("Threads", 7),
        Column("Lasted", 3),
        Column("First minute"),
        Column("Last minute"),
        Column("Last over first", 2),
        Column("Settled after"),
        Column("Clock (MHz)", 2),
        Column("Temperature (C)", 1),
        Column("Power (W)", 2),
        Column("Verdict", right=False),
    )
    rows = []
    for row in shown:
        told = next(iter(_courses(row)), None)
        rows.append(
            (
                Cell(row.condition.artifact),
                *runtime_cells(shown, row),
                Cell(seconds(row.condition.input_s)),
                Cell(str(row.condition.threads)),
                Cell(NOTHING if told is None else f"{told.duration_s:.0f} s"),
                figure_cell(row.figures, "latency_first_ns", interval=False),
                figure_cell(row.figures, "latency_last_ns", interval=False),
                figure_cell(row.figures, "latency_change", interval=False),
                _settled(row),
                Cell(_change(told, "clock_mhz")),
                Cell(_change(told, "temperature_c")),
                Cell(_change(told, "power_w")),
                verdict_cell(row),
            )
        )
    notes = [
        "Medians of the inferences that began in the first and in the last minute (fifth, in a launch of "
        "less than five minutes); clock, temperature and power are means of the two. Settled: from there on "
        f"the median of every stretch stays within {requests.TOLERANCE:.0%} of that of the last fifth."
    ]
    return make_section("Sustained: the first minute against the last", columns, rows, *notes)


def _settled(row: Row) -> Cell:
    figure = row.figures.get("settle_s")
    if figure is None or figure.value is None:
        return figure_cell(row.figures, "settle_s")
    return Cell(f"{figure.value:.0f} s")


def _change(told: TimeCourse | None, name: str) -> str:
    """ "1500 → 1200"; a dash where the board does not tell it."""
    ends = [] if told is None else [getattr(level, name) for level in (told.first, told.last)]
    if not ends or None in ends:
        return NOTHING
    return " → ".join(digits(end) for end in ends)


def _courses(row: Row) -> list[TimeCourse]:
    return [found for found in map(time_course, row.good) if found is not None]


def _paced(summary: RunSummary) -> Section | None:
    shown = [row for row in summary.rows if row.condition.rate_hz is not None and not row.is_null]
    columns = (
        Column("Artifact", right=False),
        *runtime_columns(shown),
        Column("Scenario", 5, right=False),
        Column("Input"),
        Column("Requests"),
        Column("Deadlines missed"),
        Column("Idle"),
        Column("Response p99", 2),
        Column("Latency p50", 1),
        Column("Verdict", right=False),
    )
    rows = [
        (
            Cell(row.condition.artifact),
            *runtime_cells(shown, row),
            Cell(row.condition.scenario),
            Cell(seconds(row.condition.input_s)),
            Cell(f"{row.condition.rate_hz:g}/s"),
            figure_cell(row.figures, "deadline_miss_share", interval=False, bounded=True),
            figure_cell(row.figures, "idle_share", interval=False, bounded=True),
            figure_cell(row.figures, "response_p99_ns", interval=False),
            figure_cell(row.figures, "latency_p50_ns", interval=False),
            verdict_cell(row),
        )
        for row in shown
    ]
    notes = [
        "A request misses its deadline where it is not done when the next one is due, and where it is never "
        "begun. Response: from due to done. Idle: the share of the time in which no request was served."
    ]
    return make_section("Requests at a fixed rate", columns, rows, *notes)


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return digits(float(np.mean(known))) if known else NOTHING


def course_data(summary: RunSummary) -> list[dict[str, Any]] | None:
    """What the page draws: one entry a sustained launch, its lines as seconds and values; None without any.

    ``artifact``: the number of its colour. Latencies are medians of stretches, in ms.
    """
    names = list(dict.fromkeys(row.condition.artifact for row in summary.rows if not row.is_null))
    found = []
    for row in _sustained_rows(summary):
        for trial in row.good:
            told = time_course(trial)
            if told is None:
                continue
            begins, medians = requests.medians(trial)
            found.append(
                {
                    "name": row_name(row),
                    "artifact": names.index(row.condition.artifact),
                    "latency_ms": _drawn((begins, medians / 1e6)),
                    "clock_mhz": _drawn(told.clock_mhz),
                    "temperature_c": _drawn(told.temperature_c),
                    "power_w": _drawn(told.power_w),
                    "settle_s": told.settle_s,
                }
            )
    return found or None


def _drawn(line: tuple[Any, Any]) -> dict[str, list[float]]:
    step = -(-len(line[0]) // _MOST_POINTS) or 1
    return {"x": [round(float(x), 3) for x in line[0][::step]], "y": [float(y) for y in line[1][::step]]}
