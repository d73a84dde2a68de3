"""Table I of the Wav2Small paper beside a run of ours: what eight models cost at 5 s of audio.

Source: D. Kounadis-Bastian et al., "Wav2Small: Distilling Wav2Vec2 to 72K Parameters for Low-Resource
Speech Emotion Recognition", 2024, Table I: FP32 ONNX files with their front ends, 16 kHz, on an Intel
Xeon Gold 6226R at 2.90 GHz. It names neither the number of threads nor how MACs and RSS were counted;
``NOTES`` says what can be told from the figures themselves.

A pure function of a run's lines, as every summary: the table of a stored run can be made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebench.results.metrics.cost import file_figures
from edgebench.results.metrics.table import Figure, missing
from edgebench.results.records.record import JSON_VERSION, ArtifactFacts, Condition
from edgebench.results.summary import Row, RunSummary

INPUT_S = 5.0
TITLE = "Table I of the Wav2Small paper"
PAPER = (
    "D. Kounadis-Bastian et al., Wav2Small: Distilling Wav2Vec2 to 72K Parameters for Low-Resource Speech "
    "Emotion Recognition, 2024, Table I"
)
PROCESSOR = "Intel Xeon Gold 6226R 2.90 GHz"
SUFFIX = ".untrained"

FIGURES = ("parameters", "macs", "peak_rss_bytes", "model_rss_bytes", "latency_p50_ns")

NOTES = (
    f"The paper: 32-bit ONNX on an {PROCESSOR}. It does not name the number of threads. Its teacher makes "
    "137 GMAC/s, more than one core of that processor can (two 16-wide multiply-add units at 2.9 GHz: 93), "
    "so several were at work.",
    "The paper's 9 MB of Wav2Small are less than an interpreter and a runtime take, so its RSS cannot be "
    "that of a whole process: RSS of the model (the peak less what was resident before the model was "
    "loaded) is the nearer of the two. 1 MB is 1,000,000 bytes, for the paper's figures too.",
    "Weights are random numbers from a seed: cost does not depend on them, and nothing is predicted. "
    "Parameters and MACs are without a head for emotion categories, which the paper's models do not have.",
)

# Metric -> (unit of the paper's column, how many of ours it is).
UNITS = {
    "parameters": ("M", 1e6),
    "macs": ("G", 1e9),
    "peak_rss_bytes": ("MB", 1e6),
    "latency_p50_ns": ("ms", 1e6),
}
# The paper has one figure of memory; both of ours stand beside it.
_COLUMN = {"model_rss_bytes": "peak_rss_bytes"}


@dataclass(frozen=True)
class Printed:
    """One figure as the paper prints it. ``text`` is in ``unit``; ``value``, ``lo``, ``hi`` in our units.

    ``lo`` and ``hi`` are what rounds to the printed digits: 0.4 G is anything from 0.35 to 0.45.
    """

    text: str
    unit: str
    value: float
    lo: float
    hi: float


def printed(metric: str, text: str) -> Printed:
    """A figure of the paper in our unit.

    >>> printed("macs", "0.4").value, printed("macs", "0.4").lo
    (400000000.0, 350000000.0)
    """
    unit, factor = UNITS[metric]
    decimals = len(text.partition(".")[2])
    half = 0.5 * 10.0**-decimals
    value = float(text)
    # Rounded: a tenth of a nanosecond or a fifteenth digit would be noise of the arithmetic.
    return Printed(text, unit, *(round(number * factor, 3) for number in (value, value - half, value + half)))


@dataclass(frozen=True)
class PaperRow:
    """One row of the paper's table: the name it prints, four figures, and what of the net is unknown."""

    model: str
    name: str
    figures: Mapping[str, Printed]
    note: str = ""


def _row(model: str, name: str, *texts: str) -> PaperRow:
    figures = {metric: printed(metric, text) for metric, text in zip(UNITS, texts, strict=True)}
    return PaperRow(model, name, figures, _UNKNOWN.get(model, ""))


# What the paper leaves unsaid of a net, or says twice and differently.
_UNKNOWN = {
    "wavlm_large": "the paper's text says twelve layers; its 318.6 M parameters are those of 24.",
    "mobilenetv4_l": (
        "the paper does not say how many mel bands it has; 58 keep the ratio of bands to bins of the others "
        "(decision 0013)."
    ),
    "mobilenetv3_s": (
        "the paper's net cannot be known, for its reference publishes no small geometry. The trunk is that "
        "of width 1, as tokens of 960 say; the head was chosen for its size (decision 0013)."
    ),
    "mobilenetv4_s": "what makes the last 0.2 % of the paper's parameters is not known (decision 0013).",
}

# Ours, the paper's, then parameters (M), MAC (G), peak RSS (MB), time (ms): the order of UNITS.
TABLE_I: Mapping[str, PaperRow] = {
    row.model: row
    for row in (
        _row("teacher", "teacher", "483.9", "149", "1929", "1089"),
        _row("wavlm_large", "WavLM", "318.6", "95", "1284", "688"),
        _row("dawn", "Dawn", "165.3", "55", "697", "372"),
        _row("mobilenetv4_l", "MobileNetV4-L", "31.87", "2.2", "257", "24"),
        _row("mobilenetv4_m", "MobileNetV4-M", "10.38", "1.7", "94", "13"),
        _row("mobilenetv3_s", "MobileNetV3-S", "3.14", "0.4", "22", "11"),
        _row("mobilenetv4_s", "MobileNetV4-S", "3.12", "0.4", "36", "5"),
        _row("wav2small", "Wav2Small", "0.072", "0.4", "9", "9"),
    )
}


@dataclass(frozen=True)
class TableRow:
    """One model: our figures beside the paper's.

    ``run``: the row of the run that measured it, None where it was not measured; ``reason`` says why.
    """

    paper: PaperRow
    figures: Mapping[str, Figure]
    run: Row | None
    reason: str | None = None

    @property
    def model(self) -> str:
        """Our name of the architecture."""
        return self.paper.model

    def printed(self, metric: str) -> Printed:
        """The paper's figure that stands beside ours; both of our RSS figures have the same."""
        return self.paper.figures[_COLUMN.get(metric, metric)]

    def ratio(self, metric: str) -> Figure:
        """Ours over the paper's.

        The bounds hold both doubts: the interval of ours, and the digits that the paper rounded away.
        """
        ours, paper = self.figures[metric], self.printed(metric)
        if ours.value is None:
            return Figure(None, "1", None, None, 0, ours.reason)
        lo = (ours.value if ours.lo is None else ours.lo) / paper.hi
        hi = (ours.value if ours.hi is None else ours.hi) / paper.lo
        return Figure(ours.value / paper.value, "1", lo, hi, ours.n)

    def to_json(self) -> dict[str, Any]:
        """One row of the public JSON: figures as in a run's record, the paper's in our units."""
        ratios = {metric: self.ratio(metric) for metric in FIGURES}
        return {
            "model": self.model,
            **{metric: self.figures[metric].to_json() for metric in FIGURES},
            "verdict": self.run.verdict.to_json() if self.run else None,
            "reason": self.reason,
            "note": self.paper.note or None,
            "paper": {
                "model": self.paper.name,
                **{metric: figure.value for metric, figure in self.paper.figures.items()},
                "printed": {metric: f"{f.text} {f.unit}" for metric, f in self.paper.figures.items()},
            },
            "ratio": {metric: figure.value for metric, figure in ratios.items()},
            "ratio_bounds": {metric: [figure.lo, figure.hi] for metric, figure in ratios.items()},
        }


@dataclass(frozen=True)
class CostTable:
    """The table of one run. ``run`` is None where no model could be measured at all."""

    rows: tuple[TableRow, ...]
    run: RunSummary | None
    threads: int | None

    @property
    def macs_rule(self) -> str | None:
        """The rule by which MACs were counted."""
        facts = [row.run.artifact for row in self.rows if row.run and row.run.artifact]
        return next((artifact.macs_rule for artifact in facts if artifact.macs_rule), None)

    def to_json(self) -> dict[str, Any]:
        """The public JSON."""
        device = self.run.header.device if self.run else None
        return {
            "schema_version": JSON_VERSION,
            "table": "wav2small-table1",
            "run_id": self.run.run_id if self.run else None,
            "status": self.run.status if self.run else None,
            "device": device.name if device else None,
            "cpu_model": device.fingerprint.cpu_model if device else None,
            "threads": self.threads,
            "input_s": INPUT_S,
            "macs_rule": self.macs_rule,
            "paper": {"source": PAPER, "processor": PROCESSOR, "threads": None},
            "rows": [row.to_json() for row in self.rows],
            "notes": list(NOTES),
        }


def cost_table(
    summary: RunSummary | None,
    models: Iterable[str],
    *,
    refused: Mapping[str, str] | None = None,
    files: Mapping[str, ArtifactFacts] | None = None,
) -> CostTable:
    """The rows of ``models`` from a run of their untrained nets, in the paper's order.

    ``refused``: why a model was not measured. ``files``: what is known of a file that was made for a
    model and could not be measured: its parameters and MACs stand all the same.
    """
    wanted = set(models)
    rows = [
        _table_row(paper, summary, (refused or {}).get(model), (files or {}).get(model))
        for model, paper in TABLE_I.items()
        if model in wanted
    ]
    threads = {row.run.condition.threads for row in rows if row.run}
    return CostTable(tuple(rows), summary, threads.pop() if len(threads) == 1 else None)


def measured_models(summary: RunSummary) -> list[str]:
    """The models of the table that a run holds, in the paper's order."""
    keys = {artifact.key for artifact in summary.header.artifacts}
    return [model for model in TABLE_I if f"{model}{SUFFIX}" in keys]


def _table_row(
    paper: PaperRow, summary: RunSummary | None, refused: str | None, file: ArtifactFacts | None
) -> TableRow:
    rows: Sequence[Row] = summary.rows if summary else ()
    found = next((row for row in rows if _is_row(row.condition, paper.model)), None)
    if found is not None:
        return TableRow(paper, {metric: found.figures[metric] for metric in FIGURES}, found)
    reason = refused or "it is not in this run"
    figures = {metric: missing(metric, reason) for metric in FIGURES}
    if file is not None:
        condition = Condition(
            artifact=file.key,
            artifact_sha256=file.sha256,
            device="",
            scenario="single_stream",
            input_s=INPUT_S,
            threads=1,
            runtime="",
            corpus=None,
        )
        known = file_figures(file, condition)
        figures |= {metric: known[metric] for metric in ("parameters", "macs")}
    return TableRow(paper, figures, None, reason)


def _is_row(condition: Condition, model: str) -> bool:
    return (
        condition.artifact == f"{model}{SUFFIX}"
        and condition.scenario == "single_stream"
        and condition.input_s == INPUT_S
    )
