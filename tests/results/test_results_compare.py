"""Comparing two runs: what is refused, what is found, what stays inconclusive."""

from __future__ import annotations

import json

import pytest
from support import results_builder as b

from edgebench.errors import UsageError
from edgebench.results import summarise
from edgebench.results.compare import compare


def summary(*, run_id="01A", **options):
    return summarise(b.records(b.run_lines(run_id=run_id, lengths=(5.0,), **options)))


def changes_of(comparison, key=b.FP32, scenario="single_stream"):
    for row in comparison.rows:
        if (row.after.condition.artifact, row.after.condition.scenario) == (key, scenario):
            return {change.metric: change for change in row.changes}
    raise AssertionError("no such row")


@pytest.fixture(scope="module")
def base():
    return summary()


def test_a_run_against_itself_changes_nothing(base):
    found = changes_of(compare(base, base))
    assert {found[name].outcome for name in ("size_bytes", "parameters", "macs")} == {"same"}
    for name in ("latency_p50_ns", "latency_p99_ns", "load_ns", "throughput_utterances_per_s"):
        assert found[name].ratio == 1.0
        assert found[name].outcome == "inconclusive"
        assert found[name].lo < 1 < found[name].hi


def test_a_slower_run_is_worse_by_its_ratio(base):
    found = changes_of(compare(base, summary(run_id="01B", slower=1.2)))
    for name in ("latency_p50_ns", "latency_p90_ns"):
        assert found[name].outcome == "worse"
        assert found[name].ratio == pytest.approx(1.2, abs=0.01)
        assert found[name].lo < 1.2 < found[name].hi
    assert found["throughput_utterances_per_s"].outcome == "worse"
    assert found["throughput_utterances_per_s"].ratio == pytest.approx(1 / 1.2, abs=0.01)
    back = changes_of(compare(summary(run_id="01B", slower=1.2), base))
    assert back["latency_p50_ns"].outcome == "better"


def test_a_difference_within_the_launches_is_inconclusive(base):
    found = changes_of(compare(base, summary(run_id="01B", slower=1.004)))
    assert found["latency_p50_ns"].outcome == "inconclusive"


def test_exact_metrics_are_compared_exactly(base):
    larger = b.artifact(b.FP32, size_bytes=295_001)
    found = changes_of(compare(base, summary(run_id="01B", artifacts=[larger, b.artifact(b.INT8)])))
    assert found["size_bytes"].outcome == "worse"
    assert found["parameters"].outcome == "same"


def test_accuracy_is_a_paired_difference(base):
    models = ((b.FP32, 4e6, 0.9), (b.INT8, 3e6, 0.3))
    artifacts = [b.artifact(b.FP32), b.artifact(b.INT8)]
    artifacts[0]["manifest"]["parity"]["max_abs"] = 9.0
    worse = summary(run_id="01B", models=models, artifacts=artifacts)
    found = changes_of(compare(base, worse), scenario="offline")
    assert found["ua"].outcome == "worse"
    assert found["ua"].ratio is None
    assert found["ua"].difference == pytest.approx(found["ua"].after.value - found["ua"].before.value)
    assert found["ua"].lo < found["ua"].difference < found["ua"].hi < 0
    same = changes_of(compare(base, summary(run_id="01B")), scenario="offline")
    assert (same["ua"].difference, same["ua"].outcome) == (0.0, "same")


def test_other_clips_are_not_paired(base):
    other = b.corpus(rows=b.clips(speakers=5))
    found = changes_of(compare(base, summary(run_id="01B", corpora=(other,))), scenario="offline")
    assert found["ua"].outcome == "inconclusive"
    assert "other clips" in found["ua"].reason


UNLIKE = {
    "processor": {"cpu_model": "Cortex-A76"},
    "governor": {"governors": {"cpu3": "ondemand"}},
    "runtime version": {
        "runtimes": {"onnxruntime": {**b.fingerprint()["runtimes"]["onnxruntime"], "version": "1.24.0"}}
    },
    "page size": {"page_bytes": 16384},
}


@pytest.mark.parametrize("name", UNLIKE)
def test_unlike_runs_are_refused_with_the_fields_that_differ(base, name):
    device = {**b.header()["device"], "fingerprint": b.fingerprint(**UNLIKE[name])}
    other = summary(run_id="01B", device=device)
    with pytest.raises(UsageError, match=rf"not alike: {name}: .* against .*--force"):
        compare(base, other)
    forced = compare(base, other, force=True)
    assert len(forced.differing) == 1 and forced.differing[0].startswith(name)
    assert forced.rows


def test_a_suite_that_measures_otherwise_is_refused(base):
    with pytest.raises(UsageError, match="suite's duration_s: 10 against 60"):
        compare(base, summary(run_id="01B", suite={"name": "default", "duration_s": 60}))


def test_other_settings_of_the_runtime_are_refused_and_older_runs_have_the_defaults(base):
    old = {"name": "default", "duration_s": 10, "session": {"graph_level": "all", "arena": True}}
    assert compare(base, summary(run_id="01B", suite=old)).rows
    other = {**old, "session": {**old["session"], "mem_pattern": False}}
    with pytest.raises(UsageError, match="not alike: runtime option mem_pattern: True against False"):
        compare(base, summary(run_id="01B", suite=other))


def test_a_suite_of_other_conditions_is_compared_where_they_meet(base):
    other = {"name": "other", "duration_s": 10, "input_s": [5.0]}
    assert compare(base, summary(run_id="01B", suite=other, suite_sha256="6" * 64)).rows


def test_another_kernel_is_a_note(base):
    device = {**b.header()["device"], "fingerprint": b.fingerprint(kernel="6.12.1")}
    assert compare(base, summary(run_id="01B", device=device)).notes == ("kernel: 6.6.31 against 6.12.1",)


def test_an_invalid_row_is_not_judged(base):
    def spoil(line):
        line["trial"]["telemetry"] = b.telemetry(busy=0.5)

    found = changes_of(compare(base, summary(run_id="01B", slower=2.0, change=spoil)))
    assert found["latency_p50_ns"].outcome == "not judged"
    assert "second run is INVALID (BUSY_HOST)" in found["latency_p50_ns"].reason
    assert found["size_bytes"].outcome == "same"


def test_what_only_one_run_measured_is_listed(base):
    found = compare(base, summarise(b.records(b.run_lines(run_id="01B", lengths=(5.0, 10.0)))))
    assert {row.condition.input_s for row in found.only_after} == {10.0}
    assert found.only_before == ()
    nothing = summarise(b.records(b.run_lines(run_id="01C", lengths=(2.0,), corpora=())))
    with pytest.raises(UsageError, match="no condition in common"):
        compare(base, nothing)


def test_the_json_is_json(base):
    found = json.loads(json.dumps(compare(base, base).to_json(), allow_nan=False))
    assert found["before"] == found["after"] == "01A"
    assert found["records"][0]["changes"]["latency_p50_ns"]["before"]["unit"] == "ns"


def with_peak(extra_bytes, *, jitter_bytes=4096):
    """A change of run_lines: peaks of all launches but the null runtime's grow, and scatter by a page."""

    def change(line):
        if line["kind"] == "trial" and line["condition"]["artifact"] != "null":
            line["trial"]["memory"] = b.memory(
                peak_bytes=(76 << 20) + extra_bytes + jitter_bytes * (line["launch"] % 3)
            )

    return change


@pytest.mark.parametrize(("extra_bytes", "outcome"), [(100_000, "inconclusive"), (2_000_000, "worse")])
def test_memory_of_two_runs_within_the_kernels_counters_is_not_called(extra_bytes, outcome):
    before, after = summary(change=with_peak(0)), summary(run_id="01B", change=with_peak(extra_bytes))
    found = changes_of(compare(before, after))["peak_rss_bytes"]
    assert found.p_adjusted < 0.05  # the interval alone would have called both
    assert found.outcome == outcome
    assert (found.reason is None) == (outcome == "worse")
    if found.reason is not None:
        assert "262 kB" in found.reason
