"""Every quantization scheme of one model in one run: the table of docs/quantization.md.

``python -m benchmarks.schemes --corpus emodb=PATH [--corpus ...] [--model KEY] [--also FILE] [--page]``
makes the files (ranges from training speakers), measures all of them in turn in one run beside their parent,
scores them on validation speakers, and on the test speakers that the run predicts. ``--also`` adds files that
were made elsewhere. ``--page`` renews the page.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import report
from edgebench.cli.options import corpus_sources
from edgebench.models import Artifact, load_artifact
from edgebench.results import RunSummary, Store, summarise
from edgebench.results.metrics.ratios import paired_ratio
from edgebench.results.metrics.table import CCC, CHANGED, METRICS, Figure
from edgebench.results.summary import Row
from edgebench.results.verdicts.ratios import judge_ratio
from edgebench.search.losses import Judge, Losses
from edgebench.training.artifacts.quantize import choose_clips
from edgebench.training.artifacts.quantize_all import Attempt, quantize_by_all

PAGE = Path("docs/quantization.md")
BUILD = Path("build") / "schemes"
LENGTH_S = 5.0
SUITE = """\
name = "schemes"
scenarios = ["single_stream", "offline"]
input_s = [5.0]
launches = 12
offline_launches = 1
min_duration_s = 6.0
min_count = 64
null_runtime = false
[warmup]
min_count = 5
max_s = 0.5
window = 5
tolerance = 0.02
[repeats]
busy_host = 0.5
"""
HEAD = (
    "file",
    "runtime",
    "bytes",
    "CPU time over fp32",
    "verdict",
    "peak RSS, MB",
    "of the model, MB",
    "parity",
    "validation: UA lost",
    "CCC lost",
    "classes changed",
    "test: UA lost",
    "CCC lost",
    "classes changed",
    "made in, s",
    "with, MB",
)
NOTHING = "-"


@dataclass(frozen=True)
class Line:
    """One file of the table: its rows of the run by scenario, and how it was made."""

    artifact: Artifact
    single: Row
    offline: Sequence[Row]
    losses: Losses | None
    attempt: Attempt | None


def cells(line: Line, base: Row) -> tuple[str, ...]:
    """The line as text, ``HEAD`` by ``HEAD``."""
    figures, metric = line.single.figures, METRICS["cpu_p50_ns"]
    ratio, verdict = "1", ""
    if line.single is not base:
        found = paired_ratio(metric, base.trials, line.single.trials)
        verdict = judge_ratio(metric, found, base.verdict, line.single.verdict).status
        interval = found.interval
        ratio = NOTHING if found.value is None else f"{found.value:.3f}"
        if interval.lo is not None and interval.hi is not None:
            ratio += f" [{interval.lo:.3f}, {interval.hi:.3f}]"
    lost, attempt = line.losses, line.attempt
    return (
        f"`{line.artifact.key}`",
        line.single.condition.runtime,
        f"{line.artifact.size_bytes:,}",
        ratio,
        verdict,
        _megabytes(figures.get("peak_rss_bytes")),
        _megabytes(figures.get("model_rss_bytes")),
        _number(figures.get("parity_max_abs"), "{:.2g}"),
        NOTHING if lost is None else f"{lost.ua:+.4f}",
        NOTHING if lost is None else f"{lost.ccc:+.4f}",
        NOTHING if lost is None else f"{lost.changed} of {lost.clips}",
        _mean(line.offline, "ua_loss"),
        _largest(line.offline),
        _changed(line.offline),
        NOTHING if attempt is None or attempt.duration_s is None else f"{attempt.duration_s:.0f}",
        NOTHING
        if attempt is None or attempt.peak_rss_bytes is None
        else f"{attempt.peak_rss_bytes / 1e6:.0f}",
    )


def _number(figure: Figure | None, form: str) -> str:
    return NOTHING if figure is None or figure.value is None else form.format(figure.value)


def _megabytes(figure: Figure | None) -> str:
    return NOTHING if figure is None or figure.value is None else f"{figure.value / 1e6:.1f}"


def _values(rows: Sequence[Row], name: str) -> list[Figure]:
    found = [row.figures.get(name) for row in rows]
    return [figure for figure in found if figure is not None and figure.value is not None]


def _mean(rows: Sequence[Row], name: str) -> str:
    """The mean over corpora, and each corpus' own interval where speakers are enough for one."""
    figures = _values(rows, name)
    if not figures:
        return NOTHING
    text = f"{sum(float(figure.value or 0) for figure in figures) / len(figures):+.4f}"
    intervals = [f"[{f.lo:+.3f}, {f.hi:+.3f}]" for f in figures if f.lo is not None and f.hi is not None]
    return " ".join([text, *intervals])


def _largest(rows: Sequence[Row]) -> str:
    figures = [figure for name in CCC for figure in _values(rows, f"{name}_loss")]
    return f"{max(float(figure.value or 0) for figure in figures):+.4f}" if figures else NOTHING


def _changed(rows: Sequence[Row]) -> str:
    figures = _values(rows, CHANGED)
    if not figures:
        return NOTHING
    return f"{sum(int(f.value or 0) for f in figures)} of {sum(f.n for f in figures)}"


def measure(models: Sequence[str], corpora: Sequence[str]) -> RunSummary:
    """One run of all files, on this machine; kept in ``BUILD``."""
    BUILD.mkdir(parents=True, exist_ok=True)
    suite = BUILD / "suite.toml"
    suite.write_text(SUITE, encoding="utf-8")
    store = BUILD / "store"
    command = [sys.executable, "-m", "edgebench", "run", "--suite", str(suite), "--store", str(store)]
    for model in models:
        command += ["--model", model]
    for corpus in corpora:
        command += ["--corpus", corpus]
    subprocess.run([*command, "--json"], check=True, stdout=subprocess.DEVNULL)
    return summarise(Store(store).run("last"))


def lines(
    summary: RunSummary,
    artifacts: Mapping[str, Artifact],
    losses: Mapping[str, Losses],
    attempts: Mapping[str, Attempt],
) -> list[Line]:
    """What the run measured of each file, in the order of the single_stream rows."""
    found = []
    for row in summary.rows:
        sha = row.condition.artifact_sha256
        if row.condition.scenario != "single_stream" or sha not in artifacts:
            continue
        offline = [
            other
            for other in summary.rows
            if other.condition.scenario == "offline"
            and (other.condition.artifact_sha256, other.condition.runtime) == (sha, row.condition.runtime)
        ]
        found.append(Line(artifacts[sha], row, offline, losses.get(sha), attempts.get(sha)))
    return found


def main() -> None:
    """Make, measure, score; print the table, and renew the page where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schemes", description=__doc__)
    parser.add_argument("--model", default="wav2small.fp32", help="fp32 model (default: the packaged one)")
    parser.add_argument("--corpus", action="append", default=[], help="NAME=PATH; repeat for several")
    parser.add_argument("--scheme", action="append", default=[], help="scheme; all without it")
    parser.add_argument("--also", action="append", default=[], help="another file; repeat for several")
    parser.add_argument("--page", action="store_true", help=f"renew {PAGE}")
    arguments = parser.parse_args()
    facts = report.machine(datetime.datetime.now(datetime.UTC), report.load_average())
    parent = load_artifact(arguments.model)
    sources = corpus_sources(arguments.corpus, "--corpus")
    console = Console()
    attempts = quantize_by_all(
        arguments.model,
        calibration=sources,
        output=BUILD / "files",
        schemes=arguments.scheme,
        progress=lambda name: console.print(f"making {name}", highlight=False),
    )
    made = [attempt for attempt in attempts if attempt.path is not None]
    paths = [arguments.model, *(str(attempt.path) for attempt in made), *arguments.also]
    artifacts = {artifact.sha256: artifact for artifact in map(load_artifact, paths)}
    judge = Judge(parent, choose_clips(parent, sources).judged)
    losses = {
        sha: judge(artifact)
        for sha, artifact in track(artifacts.items(), "validation", console=console)
        if artifact.manifest is not None and artifact.format == parent.format
    }
    summary = measure(paths, arguments.corpus)
    table = lines(summary, artifacts, losses, {str(attempt.sha256): attempt for attempt in made})
    base = next(line.single for line in table if line.artifact.sha256 == parent.sha256)
    rows = [cells(line, base) for line in sorted(table, key=lambda line: -line.artifact.size_bytes)]
    _show(rows, console)
    for attempt in attempts:
        if attempt.path is None:
            console.print(f"{attempt.scheme}: {attempt.reason}", highlight=False, markup=False)
    if arguments.page:
        names = ", ".join(sources)
        text = "\n".join(
            [*(f"{name}: {value}" for name, value in facts), f"Run {summary.run_id}; corpora {names}."]
        )
        PAGE.write_text(_renewed(PAGE.read_text(encoding="utf-8"), rows, text, attempts), encoding="utf-8")


BEGIN, END = "<!-- begin python -m benchmarks.schemes -->\n", "<!-- end -->\n"


def _renewed(whole: str, rows: Sequence[Sequence[str]], facts: str, attempts: Sequence[Attempt]) -> str:
    """``whole`` with what stands between the marks replaced. Raises ValueError where they are missing."""
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page has no place for the table: {BEGIN.strip()} ... {END.strip()}")
    table = "".join("| " + " | ".join(row) + " |\n" for row in (HEAD, ["---"] * len(HEAD), *rows))
    absent = "".join(f"- `{one.scheme}`: {one.reason}\n" for one in attempts if one.path is None)
    absent = f"\nNo file was made by:\n\n{absent}" if absent else ""
    return f"{before}{BEGIN}\n{table}{absent}\n{facts}\n\n{END}{after}"


def _show(rows: Sequence[Sequence[str]], console: Console) -> None:
    table = Table()
    for title in HEAD:
        table.add_column(title)
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
