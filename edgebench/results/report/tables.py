"""What every report says, free of how it looks: sections of plain text cells.

The terminal, Markdown and the page render the same sections, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebench.agent.runtimes.table import runtimes_for
from edgebench.results.metrics.table import CHANGED, EXACT, METRICS, Figure
from edgebench.results.report.notes import corpus_notes
from edgebench.results.report.words import NOTHING, figure_text, number, seconds
from edgebench.results.summary import SYNTHETIC, Row, RunSummary


@dataclass(frozen=True)
class Column:
    """``priority``: 0 always shown; higher ones give way on a narrow terminal, highest first."""

    title: str
    priority: int = 0
    right: bool = True


@dataclass(frozen=True)
class Cell:
    """One cell. ``status``: a verdict's, for those who colour; ``reason``: why there is a dash.

    ``short``: the text without its interval, for a narrow terminal.
    """

    text: str
    status: str | None = None
    reason: str | None = None
    short: str | None = None


@dataclass(frozen=True)
class Section:
    """One table with its title and what has to be known to read it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


def measured_sections(summary: RunSummary) -> list[Section]:
    """The tables of what a run measured, in the order in which they answer questions."""
    found = [_latency(summary), *_corpora(summary), _losses(summary), _files(summary), _null(summary)]
    return [section for section in found if section is not None and section.rows]


def verdict_cell(row: Row) -> Cell:
    """The verdict with its codes."""
    codes = ", ".join(row.verdict.codes)
    text = f"{row.verdict.status}: {codes}" if codes else row.verdict.status
    return Cell(text, status=row.verdict.status)


def row_name(row: Row) -> str:
    """One condition in words: "wav2small.fp32, single_stream 5 s, 1 thread"."""
    condition = row.condition
    where = f"over {condition.corpus}" if condition.corpus else seconds(condition.input_s)
    threads = "1 thread" if condition.threads == 1 else f"{condition.threads} threads"
    usual = row.artifact is None or condition.runtime == runtimes_for(row.artifact.format)[0]
    runtime = "" if usual else f", {condition.runtime}"
    return f"{condition.artifact}, {condition.scenario} {where}, {threads}{runtime}"


def runtime_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """A column for the runtime, where the rows have several."""
    return (Column("Runtime", right=False),) if len({row.condition.runtime for row in rows}) > 1 else ()


def runtime_cells(rows: Sequence[Row], row: Row) -> tuple[Cell, ...]:
    """What stands in ``runtime_columns``."""
    return tuple(Cell(row.condition.runtime) for _ in runtime_columns(rows))


def findings(summary: RunSummary) -> list[tuple[str, str, str, str]]:
    """(condition, code, evidence, next action) of every broken rule, for each row."""
    return [
        (row_name(row), finding.code, finding.evidence, finding.action)
        for row in summary.rows
        for finding in row.verdict.findings
    ]


def not_judged(summary: RunSummary) -> list[tuple[str, str]]:
    """(code, reason) of what this machine could not show, each once; parity of the null runtime left out."""
    return list(
        dict.fromkeys(
            (rule.code, rule.reason)
            for row in summary.rows
            if not row.is_null
            for rule in row.verdict.not_judged
        )
    )


def overhead_sentence(summary: RunSummary) -> str:
    """What the harness itself adds to every inference, as every report says it."""
    overhead = summary.null_overhead()
    if overhead is None:
        return "The null runtime was not measured here: the harness's own share of a latency is not known."
    return (
        f"The null runtime, which does nothing, takes {figure_text(overhead)} an inference: "
        "that much of every latency here is the harness itself."
    )


# --- the sections -----------------------------------------------------------------------------------


def figure_cell(
    figures: Mapping[str, Figure], name: str, *, interval: bool = True, bounded: bool = False
) -> Cell:
    """The cell of one figure; a dash with its reason where there is none."""
    figure = figures.get(name)
    reason = None if figure is None else figure.reason
    text = figure_text(figure, interval=interval, bounded=bounded)
    short = figure_text(figure, interval=False, bounded=bounded)
    return Cell(text, reason=None if reason == EXACT else reason, short=short)


def _cell(row: Row, name: str, *, interval: bool = True, bounded: bool = False) -> Cell:
    return figure_cell(row.figures, name, interval=interval, bounded=bounded)


def _reasons(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> tuple[str, ...]:
    """Why cells are dashes or have no interval, each reason once."""
    notes: dict[str, list[str]] = {}
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            if cell.reason is not None and not cell.reason.startswith("exact"):
                kind = NOTHING if cell.text == NOTHING else "no interval"
                titles = notes.setdefault(f"{kind}: {cell.reason}", [])
                if column.title not in titles:
                    titles.append(column.title)
    return tuple(f"{', '.join(titles)} {text}" for text, titles in notes.items())


def make_section(
    title: str, columns: tuple[Column, ...], rows: Sequence[tuple[Cell, ...]], *notes: str
) -> Section:
    """A section whose notes also say why cells are dashes."""
    return Section(title, columns, tuple(rows), (*notes, *_reasons(columns, rows)))


def _latency(summary: RunSummary) -> Section:
    shown = [row for row in summary.rows if row.condition.scenario == "single_stream" and not row.is_null]
    columns = (
        Column("Artifact", right=False),
        *runtime_columns(shown),
        Column("Input"),
        Column("Threads", 6),
        Column("Latency p50"),
        Column("p90", 5),
        Column("p99", 4),
        Column("CPU time p50", 3),
        Column("Real-time factor", 7),
        Column("First inference", 8),
        Column("Load", 9),
        Column("Peak RSS", 1),
        Column("RSS of the model", 10),
        Column("Verdict", right=False),
    )
    rows = [
        (
            Cell(row.condition.artifact),
            *runtime_cells(shown, row),
            Cell(seconds(row.condition.input_s)),
            Cell(str(row.condition.threads)),
            _cell(row, "latency_p50_ns"),
            _cell(row, "latency_p90_ns", interval=False),
            _cell(row, "latency_p99_ns", interval=False),
            _cell(row, "cpu_p50_ns", interval=False),
            _cell(row, "real_time_factor", interval=False),
            _cell(row, "first_inference_ns", interval=False),
            _cell(row, "load_ns", interval=False),
            _cell(row, "peak_rss_bytes", interval=False),
            _cell(row, "model_rss_bytes", interval=False),
            verdict_cell(row),
        )
        for row in shown
    ]
    return make_section(
        "Latency and memory (single_stream)",
        columns,
        rows,
        "In brackets: 95 % interval over process launches (Student's t). 1 MB is 1,000,000 bytes.",
    )


def _corpora(summary: RunSummary) -> list[Section]:
    offline = [row for row in summary.rows if row.condition.corpus and not row.is_null]
    columns = (
        Column("Artifact", right=False),
        *runtime_columns(offline),
        Column("Threads", 9),
        Column("UA"),
        Column("WA", 6),
        Column("Macro F1", 5),
        Column("CCC arousal", 2),
        Column("CCC dominance", 4),
        Column("CCC valence", 3),
        Column("Utterances/s", 7),
        Column("Real-time factor", 10),
        Column("Peak RSS", 8),
        Column("Parity", 11),
        Column("Verdict", right=False),
    )
    found = []
    names = dict.fromkeys(row.condition.corpus for row in summary.rows if row.condition.corpus)
    # Real speech first: the synthetic corpus answers another question.
    for name in sorted(names, key=lambda name: (name == SYNTHETIC, list(names).index(name))):
        rows = [row for row in summary.rows if row.condition.corpus == name and not row.is_null]
        cells = [
            (
                Cell(row.condition.artifact),
                *runtime_cells(offline, row),
                Cell(str(row.condition.threads)),
                *(_cell(row, metric, bounded=True) for metric in ("ua", "wa", "macro_f1")),
                *(_cell(row, f"ccc_{part}", bounded=True) for part in ("arousal", "dominance", "valence")),
                _cell(row, "throughput_utterances_per_s"),
                _cell(row, "real_time_factor", interval=False),
                _cell(row, "peak_rss_bytes", interval=False),
                _cell(row, "parity_max_abs"),
                verdict_cell(row),
            )
            for row in rows
        ]
        found.append(make_section(_corpus_title(summary, name), columns, cells, *_run_corpus_notes(rows)))
    return found


def _is_synthetic(rows: Sequence[Row]) -> bool:
    return any(row.corpus is not None and row.corpus.label_source == SYNTHETIC for row in rows)


def _corpus_title(summary: RunSummary, name: str | None) -> str:
    rows = [row for row in summary.rows if row.condition.corpus == name]
    if _is_synthetic(rows):
        return f"Pipeline check: predictions on the {name} corpus (offline)"
    return f"Accuracy on the device: {name}, recorded speech (offline)"


def _run_corpus_notes(rows: Sequence[Row]) -> list[str]:
    corpus = next((row.corpus for row in rows if row.corpus is not None), None)
    scored = next((row.scoring for row in rows if row.scoring is not None), None)
    return corpus_notes(corpus, scored) if corpus is not None else []


def _losses(summary: RunSummary) -> Section:
    names = (
        "ua_loss",
        "macro_f1_loss",
        "ccc_arousal_loss",
        "ccc_dominance_loss",
        "ccc_valence_loss",
        CHANGED,
    )
    columns = (
        Column("Artifact", right=False),
        Column("Corpus", right=False),
        *(Column(METRICS[name].title, (0, 5, 2, 4, 3, 1)[n]) for n, name in enumerate(names)),
    )
    rows = [
        (
            Cell(row.condition.artifact),
            Cell(row.condition.corpus or NOTHING),
            *(_cell(row, name, bounded=name != CHANGED) for name in names),
        )
        for row in summary.rows
        if "ua_loss" in row.figures
    ]
    return make_section(
        "Drop against the fp32 parent, same clips, same device",
        columns,
        rows,
        "Parent minus artifact: above 0 is a drop. In brackets: 95 % interval, paired over speakers.",
    )


def _files(summary: RunSummary) -> Section:
    columns = (
        Column("Artifact", right=False),
        Column("Size"),
        Column("Parameters", 1),
        Column("MACs", 0),
        Column("Parity with host fp32", 2),
        Column("Scheme", 3, right=False),
        Column("Opset", 5),
        Column("Licence", 4, right=False),
    )
    rows = []
    for artifact in summary.header.artifacts:
        of_it = [row for row in summary.rows if row.artifact is artifact]
        manifest = artifact.manifest or {}
        macs = [f"{number(count, 'MACs')} at {float(length):g} s" for length, count in artifact.macs.items()]
        rows.append(
            (
                Cell(artifact.key),
                Cell(number(artifact.size_bytes, "bytes")),
                Cell(NOTHING if artifact.parameters is None else number(artifact.parameters, "parameters")),
                Cell(_longest(macs), reason=None if macs else artifact.why_no_macs or "nobody counted them"),
                Cell(_worst_parity(of_it)),
                Cell(str((manifest.get("scheme") or {}).get("name") or NOTHING)),
                Cell(NOTHING if artifact.opset is None else str(artifact.opset)),
                Cell(str(manifest.get("licence") or "no manifest: not known")),
            )
        )
    rules = dict.fromkeys(artifact.macs_rule for artifact in summary.header.artifacts if artifact.macs_rule)
    notes = [f"MACs counted as: {rule}." for rule in rules]
    for artifact in summary.header.artifacts:
        if artifact.streaming:
            notes.append(
                f"{artifact.key} keeps a state: an input goes through it in frames of "
                f"{artifact.streaming['frame']} samples, from a state of zeros."
            )
    return make_section("Files", columns, rows, *notes)


def _longest(texts: list[str]) -> str:
    return texts[-1] if texts else NOTHING


def _worst_parity(rows: Sequence[Row]) -> str:
    found: list[Figure] = [row.figures["parity_max_abs"] for row in rows]
    values = [figure.value for figure in found if figure.value is not None]
    return number(max(values), "1") if values else NOTHING


def _null(summary: RunSummary) -> Section:
    columns = (
        Column("Input"),
        Column("Overhead an inference"),
        Column("p99", 1),
        Column("Peak RSS"),
        Column("Verdict", right=False),
    )
    rows = [
        (
            Cell(seconds(row.condition.input_s)),
            _cell(row, "latency_p50_ns"),
            _cell(row, "latency_p99_ns", interval=False),
            _cell(row, "peak_rss_bytes", interval=False),
            verdict_cell(row),
        )
        for row in summary.rows
        if row.is_null and row.condition.scenario == "single_stream"
    ]
    return make_section("The harness itself (null runtime)", columns, rows, overhead_sentence(summary))
