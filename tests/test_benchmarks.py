"""The benchmarks are there, and their arithmetic is right. How fast anything is, is not asked here."""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from rich.progress import Progress

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of what is installed

import benchmarks  # noqa: E402
from benchmarks import common, report  # noqa: E402
from benchmarks.common import Result, Row, Settings, Spread, Target  # noqa: E402


@pytest.mark.parametrize("name", benchmarks.NAMES)
def test_each_benchmark_imports_and_says_what_it_compares(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    assert module.COMPARED.endswith(".") and callable(module.run)


def test_every_module_with_a_comparison_is_in_the_table() -> None:
    found = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\nCOMPARED = " in path.read_text()}
    assert found == set(benchmarks.NAMES)


def test_ratios_are_made_pair_by_pair() -> None:
    # The machine slows down meanwhile: the ratio of the medians would be 2 / 4.
    assert common.paired([1.0, 2.0, 6.0], [1.0, 4.0, 4.0]) == Spread(0.5, 1.0, 1.5, 3)
    with pytest.raises(ValueError, match="longer"):
        common.paired([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])


def test_launches_alternate_and_stay_paired() -> None:
    order: list[str] = []

    def launch(side: str) -> int:
        order.append(side)
        return len(order)

    firsts, seconds = common.interleave(lambda: launch("A"), lambda: launch("B"), pairs=4, step=lambda: None)
    assert "".join(order) == "ABBAABBA"
    assert (firsts, seconds) == ([1, 4, 5, 8], [2, 3, 6, 7])


def test_a_target_is_held_against_the_median_or_against_every_value() -> None:
    spread = Spread(0.9, 1.0, 1.2, 5)
    assert Target("", 0.98, 1.02).met(spread)
    assert not Target("", 0.98, 1.02, every=True).met(spread)
    assert not Target("", hi=0.99).met(spread)


def test_an_interval_must_lie_within_the_target_whole_or_hold_the_value() -> None:
    pairs = [0.99, 1.0, 1.01, 1.0, 1.0, 0.995]
    spread = Spread.of_ratios(pairs)
    # Student's t of five degrees of freedom: 2.5706 standard errors of the logarithms.
    logs = [math.log(value) for value in pairs]
    half = 2.5706 * statistics.stdev(logs) / math.sqrt(6)
    expected = [math.exp(statistics.fmean(logs) + sign * half) for sign in (-1, 1)]
    assert spread.interval == pytest.approx(expected, rel=1e-5)
    assert Target("", 0.98, 1.02).met(spread)
    assert not Target("", 0.995, 1.02).met(spread), "its lower end is below"
    assert Target("", holds=1.0).met(spread) and not Target("", holds=1.02).met(spread)
    few = Spread.of_ratios(pairs[:3])
    assert few.interval is None and not Target("", holds=1.0).met(few)


def test_the_page_says_what_was_missed_and_what_did_not_run() -> None:
    rows = (
        Row("good", Spread(1.0, 1.0, 1.0, 2), "ratio", Target("at most 1.05", hi=1.05)),
        Row("bad", Spread(1.0, 1.25, 1.5, 2), "ratio", Target("at most 1.05", hi=1.05)),
    )
    results = [Result("one", "This.", rows), Result("two", "That.", skipped="no sshd here.")]
    text = report.page(results, [("cores", "2")], Settings())
    assert "| `one` | 1 of 2 not met |" in text
    assert "| bad | ratio | 1.0000 | 1.2500 | 1.5000 | - | 2 | at most 1.05 | NOT MET |" in text
    assert "Not run: no sshd here." in text
    assert "--quick`: this page" not in text
    assert "--quick`: this page" in report.page(results, [], Settings(quick=True))


def test_the_page_says_what_it_was_measured_on() -> None:
    began = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
    found = dict(report.machine(began, (0.5, 1.0, 1.5)))
    assert found["date"] == "2026-01-02 03:04 UTC"
    assert found["load average at the start"].startswith("0.50 1.00 1.50")
    assert found["onnxruntime"] == importlib.metadata.version("onnxruntime")
    assert found["cores"].startswith(f"{os.cpu_count()}, of which {len(os.sched_getaffinity(0))} ")
    assert found["kernel"] == os.uname().release


def test_one_benchmark_is_renewed_and_the_others_stay() -> None:
    kept = Result("startup", "This.", (Row("kept", Spread(1.0, 1.0, 1.0, 2), "s"),))
    missed = Row("old", Spread(1.0, 9.0, 9.0, 2), "ratio", Target("at most 2", hi=2.0))
    facts = [("date", "today"), ("processor", "Z80"), ("load average at the start", "0.1")]
    before = report.page([kept, Result("store", "That.", (missed,))], facts, Settings())
    met = Row("new", Spread(1.0, 1.5, 2.0, 2), "ratio", Target("at most 2", hi=2.0))
    launch = Result("agent_vs_loop", "Other.", (met,))
    after = report.renewed(before, [Result("store", "That.", (met,)), launch], facts, Settings())
    assert "| kept | s |" in after and "| new | ratio |" in after and "| old |" not in after
    assert "| `store` | met (1 of 1) |" in after and "not met" not in after
    assert after.count("Measured by itself: today, Z80, load 0.1.") == 2
    headings = [line for line in after.splitlines() if line.startswith("## ")]
    assert headings == ["## Targets", "## agent_vs_loop", "## startup", "## store"]
    again = report.renewed(after, [launch], facts, Settings())
    assert again == after


def test_a_missing_loadgen_is_said_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.agent_vs_loadgen.find_spec", lambda name: None)
    result = common.measure("agent_vs_loadgen", Settings(quick=True), Progress(disable=True))
    assert not result.rows
    assert "mlcommons-loadgen is not installed" in str(result.skipped) and "make bench" in str(result.skipped)


def test_the_page_on_disk_has_a_section_for_every_benchmark() -> None:
    text = report.PATH.read_text(encoding="utf-8")
    assert [name for name in benchmarks.NAMES if f"`python -m benchmarks.{name}`" not in text] == []


def test_one_of_them_runs() -> None:
    command = [sys.executable, "-m", "benchmarks.startup", "--quick"]
    environment = {**os.environ, "COLUMNS": "200"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "edgebench --help" in result.stdout


def test_a_bare_loop_measures_a_real_model(tmp_path: Path) -> None:
    import numpy
    from support.speech_models import small_model

    numpy.zeros(16_000, numpy.float32).tofile(tmp_path / "input.f32")
    model = small_model(tmp_path / "small.onnx")
    cpu = max(os.sched_getaffinity(0))
    words = [str(model), str(tmp_path / "input.f32"), str(cpu), "2", "8"]
    for script, key in (
        ("bare_loop.py", "median_ns"),
        ("bare_loop.py", "cpu_median_ns"),
        ("bare_memory.py", "hwm_bytes"),
    ):
        path = ROOT / "benchmarks" / "baselines" / script
        done = subprocess.run([sys.executable, "-I", str(path), *words], capture_output=True, check=True)
        assert json.loads(done.stdout)[key] > 0


def test_a_known_ratio_is_read_with_its_file() -> None:
    from benchmarks import busy_host

    assert busy_host._known("a/b.onnx=.465") == busy_host.Known(str(Path("a/b.onnx").resolve()), 0.465)
    assert busy_host._known("b.onnx").ratio is None
    assert busy_host._known("wav2small.fp32=1").model == "wav2small.fp32"


def test_a_busy_run_is_set_against_an_idle_one() -> None:
    """Two runs of a kind: their pairs together, their own verdicts; rounds of two runs are no pairs."""
    from support import results_builder as b

    from benchmarks import busy_host
    from edgebench.results import summarise

    ratios = (0.74, 0.76, 0.75, 0.74, 0.76, 0.75)

    def run_of(level: float) -> object:
        def change(line: dict) -> None:  # type: ignore[type-arg]
            ratio = ratios[line["round"]] if line["condition"]["artifact"] == b.INT8 else 1.0
            line["trial"]["samples_ns"] = [round(4e6 * level * ratio)] * 20
            line["trial"]["samples_cpu_ns"] = [round(3e6 * level * ratio)] * 20

        return summarise(b.records(b.run_lines(corpora=(), change=change)))

    # The second run of each kind is slower as a whole: across runs, pairs would scatter by half.
    found = {"idle": [run_of(1.0), run_of(1.5)], "busy": [run_of(2.0), run_of(3.0)]}
    rows = {row.what: row for row in busy_host.rows(found, {b.INT8: 0.75})}  # type: ignore[arg-type]
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    for kind in ("idle", "busy"):
        row = rows[f"{b.INT8}, 5 s, CPU time, {kind}"]
        assert row.spread.median == pytest.approx(mean, rel=1e-5)
        half = 2.2010 * statistics.stdev(map(math.log, 2 * ratios)) / math.sqrt(12)
        assert row.spread.interval == pytest.approx((mean * math.exp(-half), mean * math.exp(half)), rel=1e-4)
        assert row.verdict == "met" and "12 pairs; VALID; VALID" in row.detail
    assert rows[f"{b.INT8}, 5 s, CPU time, busy / idle"].verdict == "met"
    assert rows["disturbed launches, busy"].spread.median == 0.0
    wrong = {row.what: row for row in busy_host.rows(found, {b.INT8: 0.80})}  # type: ignore[arg-type]
    assert wrong[f"{b.INT8}, 5 s, CPU time, idle"].verdict == "NOT MET"
