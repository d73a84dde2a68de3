"""Artifacts of one run side by side: pairs by round, a ratio's own verdict, words that hold together."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats
from support import results_builder as b

from edgebench.errors import UsageError
from edgebench.results import METRICS, summarise
from edgebench.results.compare import compare, compare_artifacts, compare_schemes
from edgebench.results.metrics.ratios import by_round, paired_ratio, unpaired_ratio
from edgebench.results.report import comparison_markdown, run_markdown

A, B = "net.a", "net.b"
P50 = METRICS["latency_p50_ns"]


def two_files(first, second, *, run_id="01A", change=None, **options):
    """A run of two unrelated files; ``first[i]`` and ``second[i]`` are the medians (ns) of round i."""
    artifacts = [b.artifact(key, sha256=sha * 64, manifest=None) for key, sha in ((A, "1"), (B, "2"))]
    lines = [b.header(run_id=run_id, artifacts=artifacts, corpora=[], launches=len(first))]
    for number, medians in enumerate(zip(first, second, strict=True)):
        for key, sha, median in zip((A, B), "12", medians, strict=True):
            message = b.trial(
                number,
                samples_ns=[round(median)] * 20,
                load_ns=30_000_000 + 1000 * number,
                memory=b.memory(peak_bytes=(80 << 20) + 4096 * number),
                **options,
            )
            where = b.condition(key, artifact_sha256=sha * 64)
            line = b.trial_line(where, message, launch=number, run_id=run_id)
            if change is not None:
                change(key, number, line)
            lines.append(line)
    return summarise(b.records(lines))


def change_of(comparison, metric="latency_p50_ns"):
    (row,) = comparison.rows
    return next(change for change in row.changes if change.metric == metric)


def test_a_paired_ratio_is_scipys_t_of_the_log_ratios_of_its_rounds():
    rng = np.random.default_rng(1)
    drift = np.linspace(1, 1.5, 8)
    first = 20e6 * drift * np.exp(rng.normal(0, 0.01, 8))
    second = 15e6 * drift * np.exp(rng.normal(0, 0.01, 8))
    change = change_of(compare_artifacts(two_files(first, second)))
    logs = np.log(second / first)
    oracle = scipy.stats.ttest_1samp(logs, 0.0)
    interval = oracle.confidence_interval(0.95)
    assert change.ratio == pytest.approx(np.exp(logs.mean()), rel=1e-6)
    assert (change.lo, change.hi) == pytest.approx((np.exp(interval.low), np.exp(interval.high)), rel=1e-6)
    assert change.p_value == pytest.approx(oracle.pvalue, rel=1e-4)
    assert (change.clusters, change.verdict.status, change.outcome) == (8, "VALID", "better")


def test_what_drifts_for_both_is_in_the_unpaired_interval_only():
    """A common drift of 5 % over the rounds and a true ratio of .98 (the numbers of the fault report)."""
    rng = np.random.default_rng(2)
    drift = np.linspace(1, 1.05, 6)
    first = 20e6 * drift * np.exp(rng.normal(0, 0.0005, 6))
    second = 0.98 * 20e6 * drift * np.exp(rng.normal(0, 0.0005, 6))
    found = two_files(first, second)
    rows = {row.condition.artifact: row for row in found.rows}
    paired = paired_ratio(P50, rows[A].trials, rows[B].trials).interval
    unpaired = unpaired_ratio(P50, rows[A].trials, rows[B].trials).interval
    assert paired.lo < 0.98 < paired.hi and paired.hi - paired.lo < 0.003
    assert unpaired.lo < 0.98 < unpaired.hi and unpaired.hi - unpaired.lo > 0.03
    assert change_of(compare_artifacts(found)).outcome == "better"


def test_identical_files_are_called_different_in_at_most_one_comparison_of_twenty():
    """300 comparisons of two samples of one truth; three launches used to say a word in 18 %."""
    rng = np.random.default_rng(3)
    told = 0
    for _ in range(300):
        first, second = 20e6 * np.exp(rng.normal(0, 0.01, (2, 5)))
        changes = compare_artifacts(two_files(first, second)).rows[0].changes
        told += any(change.outcome in {"better", "worse"} for change in changes)
    # 5 % of 300 is 15; 26 and more has a probability below 1 % even at 5 %.
    assert told <= 25


def test_with_three_launches_nothing_is_called():
    found = compare_artifacts(two_files([20e6, 20.1e6, 20.2e6], [10e6, 10.1e6, 10.2e6]))
    change = change_of(found)
    assert (change.lo, change.hi, change.outcome) == (None, None, "not judged")
    assert change.verdict.codes == ("FEW_PAIRS",) and "3 pairs" in change.verdict.findings[0].evidence


def test_a_slowdown_of_three_percent_is_found_in_twelve_pairs():
    """Launch deviation 1 %: in 60 comparisons all but a few find it, and none says better."""
    rng = np.random.default_rng(4)
    words = []
    for _ in range(60):
        first = 20e6 * np.exp(rng.normal(0, 0.01, 12))
        second = 20.6e6 * np.exp(rng.normal(0, 0.01, 12))
        words.append(change_of(compare_artifacts(two_files(first, second))).outcome)
    assert words.count("worse") >= 56 and "better" not in words


def test_a_failed_launch_takes_its_pair_with_it():
    first, second = 20e6 * np.ones(7), 20e6 * np.array([1, 1, 9, 1.001, 0.999, 1, 1.002])

    def gone(key, number, line):
        if key == A and number == 2:
            line["trial"] = b.failed("TIMEOUT", "took too long")

    found = compare_artifacts(two_files(first, second, change=gone))
    change = change_of(found)
    assert change.clusters == 6 and change.hi < 1.01
    # What is left may be the luckier half, so the failure counts against the ratio.
    assert change.verdict.codes == ("TIMEOUT",) and change.outcome == "not judged"


def test_pairs_are_of_one_round_not_of_one_place():
    """The second file's rounds 0 and 1 are missing: its launches pair with rounds 2 to 6 of the first."""
    first = 20e6 * 1.1 ** np.arange(7)

    def late(key, number, line):
        if key == B and number < 2:
            line["trial"] = b.failed("CANCELLED_BY_HOST", "cancelled")

    change = change_of(compare_artifacts(two_files(first, 0.5 * first, change=late)))
    assert change.clusters == 5
    assert (change.lo, change.hi) == pytest.approx((0.5, 0.5), rel=1e-6)
    assert change.verdict.valid and change.outcome == "better"


def test_a_launch_is_known_by_its_round_and_the_last_one_of_a_round_counts():
    """Numbers of launches say nothing: here they run backwards, and round 3 was measured twice."""
    first = 20e6 * 1.1 ** np.arange(6)

    def lines_of(key, factor):
        found = []
        for number, median in [*enumerate(first), (3, first[3])]:
            wrong = 7.0 if number == 3 and len(found) < 6 else 1.0
            message = b.trial(
                number, id=f"{key}{len(found)}", samples_ns=[round(median * factor * wrong)] * 20
            )
            line = b.trial_line(b.condition(key, artifact_sha256=key), message, launch=9 - number)
            found.append({**line, "round": number})
        return found

    lines = [*lines_of(A, 1.0), *lines_of(B, 0.5)]
    artifacts = [b.artifact(key, sha256=key, manifest=None) for key in (A, B)]
    found = summarise(b.records([b.header(artifacts=artifacts, corpora=[], launches=6), *lines]))
    rows = {row.condition.artifact: row for row in found.rows}
    assert [line.trial.samples_ns[0] for line in by_round(rows[A].trials).values()] == [*map(round, first)]
    # Only one of the two has its rounds moved by one: neighbours are a tenth apart.
    moved = [line.model_copy(update={"round": line.round + 1}) for line in rows[B].trials]
    ratio = paired_ratio(P50, rows[A].trials, moved)
    assert (ratio.clusters, ratio.value) == (5, pytest.approx(0.5 / 1.1, rel=1e-6))


@pytest.mark.parametrize(("halfwidth", "codes"), [(0.15, ()), (0.25, ("SCATTERED_PAIRS",))])
def test_a_ratio_is_valid_up_to_the_limit_of_its_interval(halfwidth, codes):
    """Log ratios of alternating sign, so large that the interval reaches so far."""
    deviation = np.log1p(halfwidth) * np.sqrt(8) / scipy.stats.t.ppf(0.975, 7)
    signs = np.array([1, -1] * 4) * deviation * np.sqrt(7 / 8)
    change = change_of(compare_artifacts(two_files(20e6 * np.ones(8), 20e6 * np.exp(signs))))
    assert change.hi / change.ratio - 1 == pytest.approx(halfwidth, rel=1e-3)
    assert change.verdict.codes == codes


def test_what_is_significant_alone_is_not_called_among_many():
    """One metric at p = .02, the others at 1: called if it were alone, not called among all tests."""
    logs = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    logs = 0.01 * (logs + scipy.stats.t.isf(0.01, 5) * logs.std(ddof=1) / np.sqrt(6))
    found = compare_artifacts(two_files(20e6 * np.ones(6), 20e6 * np.exp(logs)))
    change = change_of(found)
    assert change.p_value == pytest.approx(0.02, rel=0.01) and change.lo > 1
    tests = [c for c in found.rows[0].changes if c.p_adjusted is not None]
    assert len(tests) == found.tests > 3
    assert change.p_adjusted > 0.05 and change.outcome == "inconclusive"


BUSY = {"busy": 0.6, "freq_hz": {"cpu3": 6e8}}


def test_a_busy_host_spoils_the_figures_and_not_their_ratio():
    rng = np.random.default_rng(5)
    common = np.exp(rng.normal(0, 0.3, 10))
    first, second = 20e6 * common, 16e6 * common * np.exp(rng.normal(0, 0.02, 10))
    found = two_files(first, second, telemetry=b.telemetry(**BUSY))
    assert all({"BUSY_HOST", "UNSTABLE"} <= set(row.verdict.codes) for row in found.rows)
    change = change_of(compare_artifacts(found))
    assert change.verdict.valid and change.outcome == "better"
    assert change.lo < 0.8 < change.hi
    # Between runs the same figures are not judged.
    assert change_of(only_first(compare(found, found))).outcome == "not judged"


def only_first(comparison):
    return type(comparison)(comparison.before, comparison.after, comparison.paired, comparison.rows[:1])


@pytest.mark.parametrize("code", ["OUTPUT_MISMATCH", "SWAPPED", "REBOOTED"])
def test_codes_that_make_a_ratio_meaningless_still_count(code):
    def spoil(key, number, line):
        if key != B or number != 1:
            return
        if code == "REBOOTED":
            line["trial"]["telemetry"] = b.telemetry(boot_id="boot-2")
        elif code == "SWAPPED":
            line["trial"]["telemetry"] = b.telemetry(pswpin=99)
        else:
            line["trial"]["output"]["values"][0][0] = None

    medians = 20e6 * np.array([1, 1.001, 0.999, 1, 1.002, 1])
    artifacts = two_files(medians, 0.5 * medians, change=spoil)
    if code == "OUTPUT_MISMATCH":  # needs the host's reference
        lines = b.run_lines(lengths=(5.0,), corpora=(), change=_mismatch)
        artifacts = summarise(b.records(lines))
    change = change_of(compare_artifacts(artifacts))
    assert change.verdict.codes == (code,) and change.outcome == "not judged"
    assert code in change.reason


def _mismatch(line):
    if line["condition"]["artifact"] == b.INT8:
        line["trial"]["output"] = b.output(0.9)


def test_pairs_that_scatter_too_much_say_so():
    rng = np.random.default_rng(6)
    first, second = 20e6 * np.exp(rng.normal(0, 0.4, (2, 6)))
    change = change_of(compare_artifacts(two_files(first, second)))
    assert change.verdict.codes == ("SCATTERED_PAIRS",) and change.outcome == "not judged"
    assert change.hi / change.ratio - 1 > 0.2


def test_a_difference_that_the_clock_cannot_tell_is_not_called():
    change = change_of(compare_artifacts(two_files([1000.0] * 6, [1500.0] * 6)))
    assert change.p_value == 0 and change.outcome == "inconclusive" and "clock" in change.reason


def test_the_reference_is_the_parent_then_the_first_then_what_is_asked_for():
    summary = summarise(b.records(b.run_lines(lengths=(5.0,), corpora=())))
    (row,) = compare_artifacts(summary).rows
    assert (row.before.condition.artifact, row.after.condition.artifact) == (b.FP32, b.INT8)
    (row,) = compare_artifacts(summary, against=b.INT8).rows
    assert (row.before.condition.artifact, row.after.condition.artifact) == (b.INT8, b.FP32)
    other = two_files([2e7] * 5, [3e7] * 5)
    (row,) = compare_artifacts(other).rows
    assert (row.before.condition.artifact, row.after.condition.artifact) == (A, B)
    (row,) = compare_artifacts(other, artifacts=[A], against=B).rows
    assert row.after.condition.artifact == A
    with pytest.raises(UsageError, match=r"no artifact 'net\.c'"):
        compare_artifacts(other, artifacts=["net.c"])
    with pytest.raises(UsageError, match="leaves nothing to compare"):
        compare_artifacts(other, artifacts=[A])


def test_the_report_and_the_json_say_the_level_of_their_words():
    summary = two_files(2e7 * np.array([1, 1.01, 0.99, 1, 1.02]), 3e7 * np.array([1, 1, 1.01, 0.99, 1]))
    found = compare_artifacts(summary)
    public = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert public["paired"] is True and public["interval_level"] == 0.95
    assert public["words"] == {"family_error": 0.05, "method": "Holm", "tests": found.tests}
    change = public["records"][0]["changes"]["latency_p50_ns"]
    assert change["verdict"]["status"] == "VALID" and change["p_value"] <= change["p_adjusted"] < 0.05
    for text in (comparison_markdown(found), run_markdown(summary)):
        plain = text.replace("\\", "")
        assert "at most 5% of comparisons" in plain and "95 % interval of its own" in plain
        assert "paired by round" in plain
    between = comparison_markdown(compare(summary, summary)).replace("\\", "")
    assert "not paired" in between and "at most 5% of comparisons" in between


def test_where_nothing_can_be_tested_the_report_says_so():
    text = comparison_markdown(compare_artifacts(two_files([20e6, 20.1e6], [10e6, 10.1e6])))
    assert "none is called" in text and "tests of this comparison" not in text


# ------------------------------------------------------------------------------- schemes of one run


def of_schemes(*, parents=("1", "1"), runtimes=("onnxruntime", "onnxruntime")):
    """A run of one fp32 file and of two schemes, int8 at half its time; ``parents`` of the two schemes."""
    medians = {"fp32": 20e6, "dynamic": 15e6, "static": 10e6}
    shas = dict(zip(medians, "123", strict=True))
    origins = dict(zip(("dynamic", "static"), parents, strict=True))
    artifacts = [
        b.artifact(
            f"net.{name}",
            sha256=shas[name] * 64,
            manifest={"scheme": {"name": name}, "parent": origins[name] * 64 if name in origins else None},
        )
        for name in medians
    ]
    ran = dict(zip(medians, ("onnxruntime", *runtimes), strict=True))
    lines = [b.header(run_id="01A", artifacts=artifacts, corpora=[], launches=6)]
    for number in range(6):
        for name, median in medians.items():
            message = b.trial(number, samples_ns=[round(median * (1 + 0.01 * number))] * 20)
            where = b.condition(f"net.{name}", artifact_sha256=shas[name] * 64, runtime=ran[name])
            lines.append(b.trial_line(where, message, launch=number, run_id="01A"))
    return summarise(b.records(lines))


def test_schemes_are_compared_with_the_first_that_is_named():
    found = compare_schemes(of_schemes(), ["dynamic", "static"])
    (row,) = found.rows
    assert (row.before.condition.artifact, row.after.condition.artifact) == ("net.dynamic", "net.static")
    assert found.paired
    assert change_of(found).ratio == pytest.approx(10 / 15, rel=1e-6)


def test_fp32_is_the_scheme_of_the_parent_and_another_runtime_is_no_hindrance():
    summary = of_schemes(runtimes=("onnxruntime", "litert"))
    rows = compare_schemes(summary, ["fp32", "static", "dynamic"]).rows
    assert [row.after.condition.artifact for row in rows] == ["net.static", "net.dynamic"]
    assert {row.before.condition.artifact for row in rows} == {"net.fp32"}


def test_schemes_of_two_parents_are_not_compared():
    with pytest.raises(UsageError, match=r"measured dynamic, static, but no two .* one parent"):
        compare_schemes(of_schemes(parents=("1", "7")), ["dynamic", "static"])


@pytest.mark.parametrize(
    ("schemes", "words"),
    [
        (["static"], "two schemes or more"),
        (["static", "static"], "two schemes"),
        (["fp32", "statc"], "'statc'.*static"),
    ],
)
def test_too_few_or_unknown_schemes_are_refused(schemes, words):
    with pytest.raises(UsageError, match=words):
        compare_schemes(of_schemes(), schemes)
