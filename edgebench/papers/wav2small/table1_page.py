"""The table of ``edgebench reproduce wav2small-table1`` as sections (size, memory, time) and as a page."""

from __future__ import annotations

from collections.abc import Sequence

from edgebench.papers.wav2small.table1 import NOTES, PAPER, PROCESSOR, TITLE, CostTable, TableRow
from edgebench.results.report.charts import Axis, Key, Plot, Trace, figure_page
from edgebench.results.report.tables import (
    Cell,
    Column,
    Section,
    figure_cell,
    make_section,
)
from edgebench.results.report.words import NOTHING, digits, figure_text

_NOT_MEASURED = "NOT MEASURED"
_OURS, _THEIRS = 0, 1  # colours
_MILLION = 1e6
# Where a label stands beside its point: two models have the same size, and the largest end the plot.
_SIDES = {
    "wav2small": "middle right",
    "mobilenetv4_s": "middle right",
    "mobilenetv4_m": "top center",
    "mobilenetv4_l": "top center",
}
_MODEL = Column("Model", right=False)
_VERDICT = Column("Verdict", right=False)


def table_sections(table: CostTable) -> list[Section]:
    """Three tables of the same rows: a terminal of 80 columns holds each whole."""
    return [_size(table), _memory(table), _time(table)]


def table_page(table: CostTable) -> str:
    """The page of the table: size against time and memory, ours and the paper's, and the tables."""
    device = table.run.header.device if table.run else None
    where = f"{device.name} ({device.fingerprint.cpu_model})" if device else "no device"
    return figure_page(
        f"{TITLE} on {where}",
        [f"{PAPER}, measured there on an {PROCESSOR}."],
        [
            _plot(table, "latency_p50_ns", "Size against time at 5 s", "Latency p50 (ms)", 1e6),
            _plot(table, "model_rss_bytes", "Size against memory at 5 s", "RSS of the model (MB)", 1e6),
        ],
        [Key("measured here", _OURS), Key("printed in the paper", _THEIRS, hollow=True)],
        table_sections(table),
        notes=[
            "A dotted line joins the two figures of one model. Bars: 95 % intervals over process launches."
        ],
    )


def _plot(table: CostTable, metric: str, title: str, y_title: str, divisor: float) -> Plot:
    rows = [row for row in table.rows if row.figures[metric].value is not None]
    figures = [row.figures[metric] for row in rows]
    sizes = [_scaled(row.figures["parameters"].value, _MILLION) for row in rows]
    ours = Trace(
        sizes,
        [_scaled(figure.value, divisor) for figure in figures],
        _OURS,
        y_lo=[_scaled(figure.lo, divisor) for figure in figures],
        y_hi=[_scaled(figure.hi, divisor) for figure in figures],
        hover=[f"{row.model}\n{figure_text(row.figures[metric])}" for row in rows],
        labels=[row.model for row in rows],
        label_sides=[_SIDES.get(row.model, "middle left") for row in rows],
    )
    theirs = Trace(
        [row.printed("parameters").value / _MILLION for row in table.rows],
        [row.printed(metric).value / divisor for row in table.rows],
        _THEIRS,
        symbol="circle-open",
        hover=[f"{row.paper.name} in the paper\n{_paper(row, metric)}" for row in table.rows],
    )
    joins = [
        Trace(
            [size, row.printed("parameters").value / _MILLION],
            [_scaled(row.figures[metric].value, divisor), row.printed(metric).value / divisor],
            None,
            mode="lines",
            dash="dot",
        )
        for size, row in zip(sizes, rows, strict=True)
    ]
    return Plot(title, Axis("Parameters (millions)"), Axis(y_title), [*joins, theirs, ours])


def _scaled(value: float | int | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _paper(row: TableRow, metric: str) -> str:
    printed = row.printed(metric)
    return f"{printed.text} {printed.unit}"


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
        *(f"{row.model}: {row.paper.note}" for row in table.rows if row.paper.note),
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
        "In brackets: 95 % interval over process launches.",
        *NOTES,
        *(f"{row.model}: {row.reason}" for row in table.rows if row.reason),
    )


def _triple(title: str) -> tuple[Column, Column, Column]:
    return Column(title), Column("Paper"), Column("Ratio")


def _figures(row: TableRow, metric: str) -> Sequence[Cell]:
    # The reason why a model has no figures is long, and stands once under the last table.
    ours = figure_cell(row.figures, metric) if row.figures[metric].value is not None else Cell(NOTHING)
    return ours, Cell(_paper(row, metric)), _ratio(row, metric)


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
