"""The two tables of docs/quantization.md: what each file costs, and what it loses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.schemes_make import Loss, Made
from edgebench.models import Artifact
from edgebench.results import RunSummary
from edgebench.results.metrics.ratios import paired_ratio
from edgebench.results.metrics.table import METRICS, Figure
from edgebench.results.summary import Row
from edgebench.results.verdicts.ratios import judge_ratio

COST_HEAD = (
    "file",
    "runtime",
    "bytes",
    "CPU time over fp32",
    "verdict",
    "peak RSS, MB",
    "of the model, MB",
    "parity",
    "made in, s",
    "with, MB",
)
LOSS_HEAD = (
    "file",
    "runtime",
    "validation: UA lost",
    "CCC lost",
    "classes changed",
    "test: UA lost",
    "CCC lost",
    "classes changed",
)
NOTHING = "-"


@dataclass(frozen=True)
class Line:
    """One file in one runtime: its row, the parent's row of the same batch, its losses, how it was made."""

    artifact: Artifact
    row: Row
    base: Row
    test: Loss | None
    made: Made | None


def lines(
    costs: Iterable[RunSummary],
    accuracy: RunSummary | None,
    artifacts: Mapping[str, Artifact],
    made: Mapping[str, Made],
    parent: Artifact,
) -> list[Line]:
    """What the runs measured of each file, largest first; the parent once.

    ``artifacts`` and ``made`` are by the hash of the file.
    """
    found: dict[tuple[str, str], Line] = {}
    for summary in costs:
        rows = {
            (row.condition.artifact_sha256 or "", row.condition.runtime): row
            for row in summary.rows
            if row.condition.scenario == "single_stream"
        }
        base = next(row for (sha, _), row in rows.items() if sha == parent.sha256)
        for (sha, runtime), row in rows.items():
            if sha in artifacts and (sha, runtime) not in found:
                test = None if sha == parent.sha256 else _on_test(accuracy, sha, runtime)
                found[sha, runtime] = Line(artifacts[sha], row, base, test, made.get(sha))
    return sorted(found.values(), key=lambda line: -line.artifact.size_bytes)


def _on_test(accuracy: RunSummary | None, sha: str, runtime: str) -> Loss | None:
    """The losses on the test speakers of every corpus that the run predicted."""
    rows = accuracy.rows if accuracy else ()
    same = [row for row in rows if (row.condition.artifact_sha256, row.condition.runtime) == (sha, runtime)]
    return Loss.of([row.figures for row in same if row.corpus is not None])


def cost_cells(line: Line) -> tuple[str, ...]:
    """The line as text, ``COST_HEAD`` by ``COST_HEAD``."""
    figures, made = line.row.figures, line.made
    ratio, verdict = _ratio(line)
    return (
        f"`{line.artifact.key}`",
        line.row.condition.runtime,
        f"{line.artifact.size_bytes:,}",
        ratio,
        verdict,
        _number(figures.get("peak_rss_bytes"), "{:.1f}", 1e6),
        _number(figures.get("model_rss_bytes"), "{:.1f}", 1e6),
        _number(figures.get("parity_max_abs"), "{:.2g}"),
        NOTHING if made is None or made.duration_s is None else f"{made.duration_s:.0f}",
        NOTHING if made is None or made.peak_rss_bytes is None else f"{made.peak_rss_bytes / 1e6:.0f}",
    )


def loss_cells(line: Line) -> tuple[str, ...]:
    """The line as text, ``LOSS_HEAD`` by ``LOSS_HEAD``."""
    validation = line.made.validation if line.made else None
    key, runtime = f"`{line.artifact.key}`", line.row.condition.runtime
    return (key, runtime, *_loss_cells(validation), *_loss_cells(line.test))


def _ratio(line: Line) -> tuple[str, str]:
    """CPU time over the parent's with its interval, and the ratio's verdict with what speaks against it."""
    if line.row is line.base:
        return "1", ""
    metric = METRICS["cpu_p50_ns"]
    found = paired_ratio(metric, line.base.trials, line.row.trials)
    verdict = judge_ratio(metric, found, line.base.verdict, line.row.verdict)
    codes = sorted({finding.code for finding in verdict.findings})
    text = NOTHING if found.value is None else f"{found.value:.3f}"
    if found.interval.lo is not None and found.interval.hi is not None:
        text += f" [{found.interval.lo:.3f}, {found.interval.hi:.3f}]"
    return text, " ".join([verdict.status, *codes])


def _loss_cells(loss: Loss | None) -> tuple[str, str, str]:
    if loss is None:
        return (NOTHING, NOTHING, NOTHING)
    ua = [_signed(loss.ua, 4), *(f"[{_signed(lo, 3)}, {_signed(hi, 3)}]" for lo, hi in loss.ua_intervals)]
    ccc = _signed(loss.ccc, 4)
    if loss.ccc_lo is not None and loss.ccc_hi is not None:
        ccc += f" [{_signed(loss.ccc_lo, 3)}, {_signed(loss.ccc_hi, 3)}]"
    return " ".join(ua), ccc, f"{loss.changed} of {loss.clips}"


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # no zero below zero


def _number(figure: Figure | None, form: str, unit: float = 1.0) -> str:
    return NOTHING if figure is None or figure.value is None else form.format(figure.value / unit)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as Markdown; every line ends with a newline."""
    return "".join("| " + " | ".join(row) + " |\n" for row in (head, ["---"] * len(head), *rows))


def refusals(made: Iterable[Made]) -> str:
    """The schemes that made no file, and why, as Markdown; empty where every one did."""
    absent = [f"- `{one.scheme}`: {one.reason}\n" for one in made if one.path is None]
    return "No file was made by:\n\n" + "".join(absent) if absent else ""


def renewed(page: str, command: str, text: str) -> str:
    """The page with what stands between the marks of ``command`` replaced by ``text``.

    Raises ValueError where the marks are missing.
    """
    begin, end = f"<!-- begin {command} -->\n", "<!-- end -->\n"
    before, mark, rest = page.partition(begin)
    _, close, after = rest.partition(end)
    if not (mark and close):
        raise ValueError(f"the page has no place for the table: {begin.strip()} ... {end.strip()}")
    return f"{before}{begin}\n{text.strip()}\n\n{end}{after}"
