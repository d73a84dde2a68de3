"""From stored lines to the public JSON, against figures computed plainly here."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support import results_builder as b

from edgebench.errors import StoreError
from edgebench.results import METRICS, PUBLIC_NAMES, Store, summarise

ISSUE_NAMES = """size_bytes, parameters, macs, load_ns, first_inference_ns, latency_p50_ns, latency_p90_ns,
latency_p99_ns, real_time_factor, throughput_utterances_per_s, peak_rss_bytes, model_rss_bytes, ua, wa,
macro_f1, ccc_arousal, ccc_dominance, ccc_valence, parity_max_abs""".replace("\n", " ").split(", ")


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
    assert list(PUBLIC_NAMES) == [name.strip() for name in ISSUE_NAMES]
    assert all(metric.definition and metric.title for metric in METRICS.values())


def test_the_public_json_has_the_promised_form(summary):
    found = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert found["schema_version"] == 1 and found["run_id"] == b.RUN_ID
    assert len(found["records"]) == 2 * 3 + 2
    for record in found["records"]:
        assert {"artifact", "device", "scenario", "input_s", "threads", "verdict", "metrics"} <= record.keys()
        assert {"status", "codes"} <= record["verdict"].keys()
        assert set(ISSUE_NAMES) <= record["metrics"].keys()
        for name, metric in record["metrics"].items():
            assert {"value", "unit", "lo", "hi", "n"} <= metric.keys()
            assert metric["unit"] == METRICS[name].unit
            nothing = metric["value"] is None or metric["lo"] is None or metric["hi"] is None
            assert bool(metric.get("reason")) == nothing, (record["artifact"], name)
    assert {"artifact": "null", "corpus": None}.items() <= found["records"][2].items()


def test_latency_is_that_of_the_pooled_samples(summary, lines):
    row = row_of(summary, b.FP32)
    pooled = np.concatenate([trial["samples_ns"] for trial in launches_of(lines, row)])
    assert len(pooled) == 900
    for q in (50, 90, 99):
        figure = row.figures[f"latency_p{q}_ns"]
        assert figure.value == pytest.approx(np.percentile(pooled, q))
        assert figure.lo < figure.value < figure.hi
        assert figure.n == 900
    assert row.figures["real_time_factor"].value == pytest.approx(np.median(pooled) / 5e9)
    assert row.figures["throughput_utterances_per_s"].value == pytest.approx(1e9 / pooled.mean())


def test_start_and_memory_over_launches(summary, lines):
    row = row_of(summary, b.INT8)
    launches = launches_of(lines, row)
    assert row.figures["load_ns"].value == np.median([trial["load_ns"] for trial in launches])
    assert row.figures["first_inference_ns"].value == np.median([t["first_inference_ns"] for t in launches])
    peaks = [trial["memory"]["marks"]["end"]["hwm_bytes"] for trial in launches]
    assert row.figures["peak_rss_bytes"].value == max(peaks)
    assert row.figures["model_rss_bytes"].value == max(peaks) - (44 << 20)
    assert row.figures["load_ns"].n == 3


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


def test_one_launch_has_figures_without_intervals():
    (row,) = summarise(b.records([b.header(launches=1), b.trial_line(b.condition(), b.trial())])).rows
    figure = row.figures["latency_p50_ns"]
    assert figure.value is not None and figure.lo is None and "one process launch" in figure.reason


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
