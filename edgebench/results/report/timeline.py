"""The state of the board over a run: temperature and clocks in time, and where each code holds.

A code is looked for in each launch by itself, by the rules of the verdict. Launches that follow each
other and have the same code stand in one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgebench.results.in_time import clock_mhz
from edgebench.results.records.messages import TrialMessage
from edgebench.results.records.record import Condition
from edgebench.results.report.tables import Cell, Column, Section, row_name
from edgebench.results.summary import RunSummary
from edgebench.results.verdicts.board import processor_temperatures
from edgebench.results.verdicts.case import points
from edgebench.results.verdicts.verdict import state_findings

TITLE = "State of the board"
_MOST_POINTS = 2000  # a plot of a page; more cannot be told apart


@dataclass(frozen=True)
class Span:
    """Launches in a row in which one code holds. Times in seconds since the first reading of the run.

    ``evidence``: of the first of them; ``where``: the condition and the launch that it is of.
    """

    code: str
    from_s: float
    to_s: float
    launches: int
    where: str
    evidence: str


@dataclass(frozen=True)
class _Launch:
    from_s: float
    to_s: float
    trial: TrialMessage
    condition: Condition
    where: str
    number: int


def spans(summary: RunSummary) -> list[Span]:
    """Where each code of the board's state holds, in the order of time."""
    found: list[Span] = []
    open_: dict[str, Span] = {}
    for launch in _launches(summary):
        told = state_findings(launch.condition, launch.trial, summary.header, number=launch.number)
        evidence = {finding.code: finding.evidence for finding in told}
        for code in [code for code in open_ if code not in evidence]:
            found.append(open_.pop(code))
        for code, text in evidence.items():
            before = open_.get(code)
            open_[code] = Span(
                code,
                before.from_s if before else launch.from_s,
                launch.to_s,
                before.launches + 1 if before else 1,
                before.where if before else launch.where,
                before.evidence if before else text,
            )
    return sorted([*found, *open_.values()], key=lambda span: (span.from_s, span.code))


def state_section(summary: RunSummary) -> Section | None:
    """The codes of the board's state in time, or None where there are none."""
    rows = [
        (
            Cell(span.code),
            Cell(f"{span.from_s:.0f} s"),
            Cell(f"{span.to_s:.0f} s"),
            Cell(str(span.launches)),
            Cell(f"{span.where}: {span.evidence}"),
        )
        for span in spans(summary)
    ]
    columns = (
        Column("Code", right=False),
        Column("From"),
        Column("To"),
        Column("Launches"),
        Column("What the board told first", right=False),
    )
    note = "Seconds since the board was first read. Each launch is judged by itself here."
    return Section(TITLE, columns, tuple(rows), (note,)) if rows else None


def timeline_data(summary: RunSummary) -> dict[str, Any] | None:
    """What the page draws: pairs of seconds and values, and the spans; None where the board told nothing.

    ``temperature_c``: the hottest zone of the processors; ``clock_mhz``: the fastest measured processor as
    the kernel shows it; ``firmware_mhz``: as the firmware of a Raspberry Pi measured it.
    """
    temperature: list[tuple[float, float]] = []
    clock: list[tuple[float, float]] = []
    firmware: list[tuple[float, float]] = []
    begun = _begun(summary)
    for launch in _launches(summary):
        for point in points(launch.trial):
            at = (point.monotonic_ns - begun) / 1e9
            celsius = [value for value, _ in processor_temperatures(point)]
            if celsius:
                temperature.append((at, max(celsius)))
            if shown := clock_mhz(point, launch.trial):
                clock.append((at, shown))
            if point.state and point.state.firmware_hz:
                firmware.append((at, point.state.firmware_hz / 1e6))
    if not (temperature or clock):
        return None
    lines: Mapping[str, list[tuple[float, float]]] = {
        "temperature_c": temperature,
        "clock_mhz": clock,
        "firmware_mhz": firmware,
    }
    return {
        **{name: _thinned(line) for name, line in lines.items()},
        "spans": [
            {"code": span.code, "from_s": span.from_s, "to_s": span.to_s, "text": span.evidence}
            for span in spans(summary)
        ],
    }


def _begun(summary: RunSummary) -> int:
    read = [point.monotonic_ns for row in summary.rows for trial in row.good for point in points(trial)]
    return min(read, default=0)


def _launches(summary: RunSummary) -> Iterator[_Launch]:
    """The launches that ended well and have telemetry, in the order of time."""
    begun = _begun(summary)
    found = []
    for row in summary.rows:
        good = [line for line in row.trials if line.trial.status == "ok" and points(line.trial)]
        for number, line in enumerate(good, 1):
            read = [(point.monotonic_ns - begun) / 1e9 for point in points(line.trial)]
            found.append(_Launch(read[0], read[-1], line.trial, row.condition, row_name(row), number))
    yield from sorted(found, key=lambda launch: launch.from_s)


def _thinned(line: list[tuple[float, float]]) -> dict[str, list[float]]:
    step = -(-len(line) // _MOST_POINTS) or 1
    return {"x": [round(x, 3) for x, _ in line[::step]], "y": [y for _, y in line[::step]]}
