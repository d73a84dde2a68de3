"""From stored lines to the public JSON, against figures computed plainly here."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats
from support import results_builder as b

from edgebench.errors import StoreError
from edgebench.results import METRICS, PUBLIC_NAMES, Store, record_from, summarise
from edgebench.results.metrics import launches

NAMES_PROMISED = """size_bytes, parameters, macs, load_ns, first_inference_ns, latency_p50_ns, latency_p90_ns,
latency_p99_ns, real_time_factor, throughput_utterances_per_s, peak_rss_bytes, model_rss_bytes, ua, wa,
macro_f1, ccc_arousal, ccc_dominance, ccc_valence, parity_max_abs, energy_mj,
energy_net_mj""".replace("\n", " ").split(", ")


@pytest.fixture(scope="module")
def lines():
    return b.run_lines()


@pytest.fixture(scope="module")
def summary(lines):
    return summarise(b.records(lines))


def row_of(summary, key, *, scenario="single_stream", input_s=5.0):
    input_s = None if scenario == "offline" else input_s
    (row,) = [
        row
        for row in summary.rows
        if (row.condition.artifact, row.condition.scenario, row.condition.input_s) == (key, scenario, input_s)
    ]
    return row


def launches_of(lines, row):
    return [
        line["trial"]
        for line in lines
        if line["kind"] == "trial" and line["condition"] == row.condition.model_dump()
    ]


def test_the_public_names_are_the_issues():
    assert list(PUBLIC_NAMES) == [name.strip() for name in NAMES_PROMISED]
    assert all(metric.definition and metric.title for metric in METRICS.values())


def test_the_public_json_has_the_promised_form(summary):
    found = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert found["schema_version"] == 1 and found["run_id"] == b.RUN_ID
    assert len(found["records"]) == 2 * 3 + 2
    for record in found["records"]:
        assert {"artifact", "device", "scenario", "input_s", "threads", "verdict", "metrics"} <= record.keys()
        assert {"status", "codes"} <= record["verdict"].keys()
        assert set(NAMES_PROMISED) <= record["metrics"].keys()
        for name, metric in record["metrics"].items():
            assert {"value", "unit", "lo", "hi", "n"} <= metric.keys()
            assert metric["unit"] == METRICS[name].unit
            nothing = metric["value"] is None or metric["lo"] is None or metric["hi"] is None
            assert bool(metric.get("reason")) == nothing, (record["artifact"], name)
    assert {"artifact": "null", "corpus": None}.items() <= found["records"][2].items()


def is_typical(figure, values):
    """The geometric mean of the launches' values, its interval scipy's of their logarithms' mean."""
    logs = np.log(np.array(values, dtype=float))
    assert figure.value == pytest.approx(scipy.stats.gmean(values))
    interval = scipy.stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    assert (figure.lo, figure.hi) == pytest.approx((np.exp(interval.low), np.exp(interval.high)))


def test_latency_is_that_of_the_typical_launch(summary, lines):
    row = row_of(summary, b.FP32)
    samples = [trial["samples_ns"] for trial in launches_of(lines, row)]
    assert [len(part) for part in samples] == [300] * 6
    for q in (50, 90, 99):
        figure = row.figures[f"latency_p{q}_ns"]
        is_typical(figure, [np.percentile(part, q) for part in samples])
        assert figure.n == 1800
    is_typical(row.figures["real_time_factor"], [np.median(part) / 5e9 for part in samples])
    is_typical(row.figures["throughput_utterances_per_s"], [1e9 / np.mean(part) for part in samples])


def test_start_and_memory_over_launches(summary, lines):
    row = row_of(summary, b.INT8)
    launches = launches_of(lines, row)
    is_typical(row.figures["load_ns"], [trial["load_ns"] for trial in launches])
    is_typical(row.figures["first_inference_ns"], [trial["first_inference_ns"] for trial in launches])
    assert row.figures["load_ns"].n == 6


def test_memory_is_the_typical_launchs_and_the_largest_stands_beside_it():
    peaks = [80_000_000 + 400_000 * n for n in range(6)]
    messages = [b.trial(n, memory=b.memory(peak_bytes=peak)) for n, peak in enumerate(peaks)]
    lines = [b.trial_line(b.condition(), message, launch=n) for n, message in enumerate(messages)]
    (row,) = summarise(b.records([b.header(), *lines])).rows
    is_typical(row.figures["peak_rss_bytes"], peaks)
    is_typical(row.figures["model_rss_bytes"], [peak - (44 << 20) for peak in peaks])
    largest = row.figures["peak_rss_max_bytes"]
    assert (largest.value, largest.lo, largest.n) == (82_000_000, None, 6)
    assert "largest" in largest.reason


def test_cpu_time_is_a_figure_where_the_agent_measured_it():
    where, rows = b.condition(scenario="offline"), b.clips()
    cpu = [b.samples(19e6, seed=n) for n in range(5)]
    lines = [b.trial_line(b.condition(), b.trial(n, samples_cpu_ns=cpu[n]), launch=n) for n in range(5)]
    passes = [b.samples(5e6, count=2 * len(rows) + 7, seed=n) for n in range(5)]
    lines += [
        b.trial_line(
            where,
            b.trial(9 + n, samples_ns=passes[n], samples_cpu_ns=passes[n], predictions=b.predictions(rows)),
            launch=n,
        )
        for n in range(5)
    ]
    single, offline = summarise(b.records([b.header(), *lines])).rows
    is_typical(single.figures["cpu_p50_ns"], [np.median(part) for part in cpu])
    is_typical(offline.figures["cpu_mean_ns"], [np.mean(part[: 2 * len(rows)]) for part in passes])
    assert "cpu_mean_ns" not in single.figures and "cpu_p50_ns" not in offline.figures


def test_offline_counts_whole_passes_only(lines):
    """The agent ended in the middle of a third pass: its slow clips must not weigh more."""
    rows = b.clips()
    taken = [int(1e6 * (1 + n % 7)) for n in range(2 * len(rows))] + [int(9e9)] * 5
    message = b.trial(samples_ns=taken, output=None, predictions=b.predictions(rows))
    where = b.condition(scenario="offline")
    (row,) = summarise(b.records([b.header(), b.trial_line(where, message)])).rows
    seconds = sum(taken[: 2 * len(rows)]) / 1e9
    assert row.figures["throughput_utterances_per_s"].value == pytest.approx(2 * len(rows) / seconds)
    assert row.figures["real_time_factor"].value == pytest.approx(seconds / (2 * 3.0 * len(rows)))


def test_a_quantile_needs_the_samples_to_hold_it():
    messages = [b.trial(n, samples_ns=b.samples(20e6, count=30)) for n in range(3)]
    lines = [b.header(), *[b.trial_line(b.condition(), m, launch=n) for n, m in enumerate(messages)]]
    (row,) = summarise(b.records(lines)).rows
    assert row.figures["latency_p90_ns"].value is not None
    assert row.figures["latency_p99_ns"].value is None
    assert "needs 100 samples; 90 were measured" in row.figures["latency_p99_ns"].reason


def test_short_launches_are_pooled_without_an_interval():
    """One of six launches holds too few samples for a 99th percentile of its own."""
    counts = [120, 120, 40, 120, 120, 120]
    samples = [b.samples(20e6, count=count, seed=n) for n, count in enumerate(counts)]
    lines = [b.trial_line(b.condition(), b.trial(n, samples_ns=s), launch=n) for n, s in enumerate(samples)]
    (row,) = summarise(b.records([b.header(), *lines])).rows
    figure = row.figures["latency_p99_ns"]
    assert figure.value == pytest.approx(np.percentile(np.concatenate(samples), 99))
    assert (figure.lo, figure.hi, figure.n) == (None, None, 640)
    assert "all launches pooled" in figure.reason and "100 samples" in figure.reason
    is_typical(row.figures["latency_p90_ns"], [np.percentile(part, 90) for part in samples])


def test_one_launch_has_figures_without_intervals():
    (row,) = summarise(b.records([b.header(launches=1), b.trial_line(b.condition(), b.trial())])).rows
    figure = row.figures["latency_p50_ns"]
    assert figure.value is not None and figure.lo is None and "1 launch; an interval needs 5" in figure.reason


def test_parity_is_the_largest_difference_over_all_launches(summary):
    assert row_of(summary, b.FP32).figures["parity_max_abs"].value == 0
    assert row_of(summary, b.INT8).figures["parity_max_abs"].value == pytest.approx(0.01)
    offline = row_of(summary, b.INT8, scenario="offline").figures["parity_max_abs"]
    assert offline.value == pytest.approx(0.02)
    assert offline.n == 120 * 7


def test_the_null_runtime_is_a_row_of_every_summary(summary):
    row = row_of(summary, "null", input_s=1.0)
    assert summary.null_overhead() == row.figures["latency_p50_ns"]
    assert row.figures["size_bytes"].value is None and "null runtime" in row.figures["size_bytes"].reason
    without = summarise(b.records([b.header(), b.trial_line(b.condition(), b.trial())]))
    assert without.null_overhead() is None


def test_what_int8_lost_stands_in_its_own_row(summary):
    fp32, int8 = (row_of(summary, key, scenario="offline") for key in (b.FP32, b.INT8))
    assert "ua_loss" not in fp32.figures
    for name in ("ua", "ccc_arousal"):
        loss = int8.figures[f"{name}_loss"]
        assert loss.value == pytest.approx(fp32.figures[name].value - int8.figures[name].value)
    ratio = row_of(summary, b.INT8).figures["latency_ratio"]
    assert ratio.value == pytest.approx(0.75, abs=0.01)
    assert ratio.lo < 0.75 < ratio.hi
    assert ratio.n == 6


def test_a_file_without_a_manifest_is_measured_and_not_scored():
    bare = b.artifact(b.FP32, manifest=None, parameters=None, macs={})
    rows = b.clips()
    message = b.trial(samples_ns=b.samples(20e6, count=240), output=None, predictions=b.predictions(rows))
    lines = [
        b.header(artifacts=[bare]),
        b.trial_line(b.condition(scenario="offline"), message),
        b.trial_line(b.condition(), b.trial()),
    ]
    single, offline = summarise(b.records(lines)).rows
    assert "no manifest" in offline.figures["ua"].reason
    assert offline.figures["throughput_utterances_per_s"].value is not None
    assert single.figures["latency_p50_ns"].value is not None
    assert single.figures["macs"].value is None and single.figures["parameters"].value is None


def test_seen_speakers_and_label_source_are_named():
    rows = b.clips(seen=True)
    lines = b.run_lines(corpora=(b.corpus(rows=rows, include_seen=True),))
    records = summarise(b.records(lines)).to_json()["records"]
    corpus = next(record["corpus"] for record in records if record["scenario"] == "offline")
    assert corpus["seen_in_training"] == 120 == corpus["n_clips"]
    assert corpus["label_source"] == "prototype"
    assert corpus["left_out"]["seen_speaker"] == 12
    assert sum(map(sum, corpus["confusion"])) == 120


def test_a_failed_condition_keeps_its_row_and_says_why():
    lines = [b.header(), b.trial_line(b.condition(), b.failed("MODEL_LOAD", "opset 28 is not known"))]
    (record,) = summarise(b.records(lines)).to_json()["records"]
    assert record["verdict"]["status"] == "UNSUPPORTED"
    assert record["metrics"]["latency_p50_ns"]["value"] is None
    assert record["metrics"]["size_bytes"]["value"] == 295_000


def test_the_same_lines_give_the_same_summary(summary, lines):
    assert summarise(b.records(lines)).to_json() == summary.to_json()


def test_a_run_that_was_cut_short_is_open(tmp_path, lines):
    store = Store(tmp_path)
    for line in b.records(lines[:12]):
        store.append(line)
    found = summarise(store.run("last"))
    assert found.status == "open" and found.rows
    with pytest.raises(StoreError, match="no header"):
        summarise(b.records(lines[1:]))


def test_a_parent_of_another_format_ran_in_another_runtime():
    lines = b.run_lines()
    for line in lines:
        conditions = [trial["condition"] for trial in line.get("trials", [])] + [line.get("condition", {})]
        for condition in conditions:
            if condition.get("artifact") == b.INT8:
                condition["runtime"] = "litert"
    found = row_of(summarise(b.records(lines)), b.INT8, scenario="offline")
    assert found.condition.runtime == "litert"
    plain = row_of(summarise(b.records(b.run_lines())), b.INT8, scenario="offline")
    assert found.figures["ua_loss"].value == plain.figures["ua_loss"].value is not None


def test_the_peak_over_a_corpus_is_that_of_the_first_pass():
    """A fast machine makes more passes in the same time, and must not report more memory for it."""
    told = b.memory(peak_bytes=90 << 20)
    told["marks"]["first_pass"] = {**told["marks"]["first_run"], "hwm_bytes": 80 << 20}
    message = record_from(b.trial_line(b.condition(), b.trial(0, memory=told))).trial
    condition = record_from(b.trial_line(b.condition(), b.trial(0))).condition
    assert launches.peak_rss_bytes(condition, message) == 80 << 20
    older = record_from(b.trial_line(b.condition(), b.trial(0, memory=b.memory(peak_bytes=90 << 20)))).trial
    assert launches.peak_rss_bytes(condition, older) == 90 << 20
