"""The table of ``edgebench reproduce wav2small-table1`` as sections: size, memory, time."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.results.report.tables import (
    Cell,
    Column,
    Section,
    figure_cell,
    make_section,
)
from edgebench.results.report.words import NOTHING, digits
from edgebench.results.wav2small_table import NOTES, TITLE, CostTable, TableRow

_NOT_MEASURED = "NOT MEASURED"
_MODEL = Column("Model", right=False)
_VERDICT = Column("Verdict", right=False)


def table_sections(table: CostTable) -> list[Section]:
    """Three tables of the same rows: a terminal of 80 columns holds each whole."""
    return [_size(table), _memory(table), _time(table)]


def _size(table: CostTable) -> Section:
    columns = (_MODEL, *_triple("Parameters"), *_triple("MACs at 5 s"))
    rows = [(Cell(row.model), *_figures(row, "parameters"), *_figures(row, "macs")) for row in table.rows]
    rule = f" MACs by the rule {table.macs_rule}." if table.macs_rule else ""
    return make_section(
        f"{TITLE}: size",
        columns,
        rows,
        "Ratio: ours over the paper's; in brackets, what the digits that the paper rounded away allow."
        + rule,
    )


def _memory(table: CostTable) -> Section:
    columns = (_MODEL, Column("Peak RSS"), Column("Ratio"), Column("RSS of the model"))
    rows = [
        (
            Cell(row.model),
            figure_cell(row.figures, "peak_rss_bytes", interval=False),
            _ratio(row, "peak_rss_bytes"),
            *_figures(row, "model_rss_bytes"),
            _verdict(row, "peak_rss_bytes"),
        )
        for row in table.rows
    ]
    return make_section(
        f"{TITLE}: memory at 5 s", (*columns, Column("Paper"), Column("Ratio"), _VERDICT), rows
    )


def _time(table: CostTable) -> Section:
    columns = (_MODEL, *_triple("Latency p50"), _VERDICT)
    rows = [
        (Cell(row.model), *_figures(row, "latency_p50_ns"), _verdict(row, "latency_p50_ns"))
        for row in table.rows
    ]
    threads = {1: ", 1 thread", None: ""}.get(table.threads, f", {table.threads} threads")
    return make_section(
        f"{TITLE}: time at 5 s{threads}",
        columns,
        rows,
        "In brackets: 95 % bootstrap interval over process launches.",
        *NOTES,
        *(f"{row.model}: {row.reason}" for row in table.rows if row.reason),
    )


def _triple(title: str) -> tuple[Column, Column, Column]:
    return Column(title), Column("Paper"), Column("Ratio")


def _figures(row: TableRow, metric: str) -> Sequence[Cell]:
    printed = row.printed(metric)
    # The reason why a model has no figures is long, and stands once under the last table.
    ours = figure_cell(row.figures, metric) if row.figures[metric].value is not None else Cell(NOTHING)
    return ours, Cell(f"{printed.text} {printed.unit}"), _ratio(row, metric)


def _ratio(row: TableRow, metric: str) -> Cell:
    ratio = row.ratio(metric)
    if ratio.value is None or ratio.lo is None or ratio.hi is None:
        return Cell(NOTHING)
    return Cell(f"{digits(ratio.value)} [{digits(ratio.lo)}, {digits(ratio.hi)}]", short=digits(ratio.value))


def _verdict(row: TableRow, metric: str) -> Cell:
    """The verdict on this very figure: a busy host speaks against time and not against memory."""
    if row.run is None:
        return Cell(_NOT_MEASURED, status="UNSUPPORTED")
    verdict = row.run.verdict
    codes = verdict.against(metric)
    status = "VALID" if verdict.status == "INVALID" and not codes else verdict.status
    return Cell(f"{status}: {', '.join(codes)}" if codes else status, status=status)
