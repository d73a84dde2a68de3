"""Each verdict code from the evidence that must raise it, and from nothing less."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from support import results_builder as b

from edgebench.results import ArtifactFacts, summarise
from edgebench.results.metrics.parity import parity
from edgebench.results.verdicts.rules import RULES, Finding
from edgebench.results.verdicts.verdict import Verdict

ISSUE_CODES = {
    "FREQ_DRIFT", "GOV_CHANGED", "HOT_START", "BUSY_HOST", "SWAPPED", "TOO_SHORT", "TOO_FEW", "UNSTABLE",
    "REBOOTED", "MEM_UNRESETTABLE", "OUTPUT_MISMATCH", "THROTTLED", "UNDERVOLT", "MODE_CHANGED", "QUOTA",
}  # fmt: skip


def verdict(*messages, where=None, references=None, launches=None, **changes):
    """The verdict of one condition of the launches given, three calm ones otherwise."""
    messages = messages or tuple(b.trial(n) for n in range(3))
    header = b.header(launches=launches or len(messages), **changes)
    lines = [header, *([b.reference()] if references is None else references)]
    lines += [b.trial_line(where or b.condition(), m, launch=n) for n, m in enumerate(messages)]
    (row,) = summarise(b.records(lines)).rows
    return row.verdict


def calm(**changes):
    return [b.trial(n, **changes) for n in range(3)]


def test_the_table_has_every_code_once():
    assert {code for code, _, _ in RULES} == ISSUE_CODES
    assert len(RULES) == len(ISSUE_CODES)


def test_a_calm_run_is_valid_and_says_what_was_not_judged():
    found = verdict()
    assert (found.status, found.codes) == ("VALID", ())
    # The telemetry of records made before a board's throttle word, mode and quota were read.
    assert [rule.code for rule in found.not_judged] == [
        "THROTTLED", "UNDERVOLT", "FREQ_DRIFT", "MODE_CHANGED", "HOT_START", "QUOTA",
    ]  # fmt: skip


def clocks(*hz, others=6e8):
    """Telemetry whose series shows these clocks of the measured CPU, and ``others`` of another."""
    point = b.telemetry()["series"][0]
    return {**b.telemetry(), "series": [{**point, "freq_hz": {"cpu3": f, "cpu0": others}} for f in hz]}


SPOILED = {
    "FREQ_DRIFT": (calm(telemetry=clocks(1.5e9, 1.5e9, 1.5e9, 1e9)), "1000 to 1500 MHz"),
    "GOV_CHANGED": (calm(telemetry=b.telemetry(governor={"cpu3": "ondemand"})), "ondemand and performance"),
    "BUSY_HOST": ([*calm()[:2], b.trial(2, telemetry=b.telemetry(busy=0.3))], "30%"),
    "SWAPPED": ([*calm()[:2], b.trial(2, telemetry=b.telemetry(pswpout=25))], "5 pages"),
    "TOO_SHORT": (calm(elapsed_ns=3_200_000_000), "9.6 s"),
    "TOO_FEW": (calm(samples_ns=[20_000_000] * 21), "63 inferences"),
    "REBOOTED": ([*calm()[:2], b.trial(2, telemetry=b.telemetry(boot_id="boot-2"))], "2 different boots"),
    "MEM_UNRESETTABLE": (calm(memory=b.memory(resettable=False)), "clear_refs"),
    "OUTPUT_MISMATCH": ([*calm()[:2], b.trial(2, output=b.output(0.002))], "0.002"),
}  # fmt: skip


@pytest.mark.parametrize("code", SPOILED)
def test_one_broken_rule_is_invalid_with_evidence_and_an_action(code):
    messages, evidence = SPOILED[code]
    found = verdict(*messages)
    assert (found.status, found.codes) == ("INVALID", (code,))
    assert evidence in found.findings[0].evidence
    assert found.findings[0].action.endswith(".")
    assert found.to_json()["evidence"][0]["code"] == code


def test_hot_start_is_judged_only_against_a_known_limit():
    requirements = {**b.header()["requirements"], "max_start_temperature_c": 45.0}
    found = verdict(requirements=requirements)
    assert found.codes == ("HOT_START",) and "48.3 C (cpu-thermal)" in found.findings[0].evidence
    assert verdict(requirements={**requirements, "max_start_temperature_c": 50.0}).status == "VALID"


def test_a_machine_without_cpufreq_is_not_judged_on_it():
    before = {**b.telemetry(freq_hz={}, governor={})}
    before["before"] = {**before["before"], "freq_hz": {}, "governor": {}}
    found = verdict(*calm(telemetry=before))
    assert found.status == "VALID"
    assert {"FREQ_DRIFT", "GOV_CHANGED"} < {rule.code for rule in found.not_judged}


def test_without_telemetry_nothing_is_claimed():
    found = verdict(*calm(telemetry=None))
    codes = {rule.code for rule in found.not_judged}
    assert {"FREQ_DRIFT", "GOV_CHANGED", "BUSY_HOST", "SWAPPED", "REBOOTED"} < codes


def test_a_board_may_restart_between_two_parts_of_a_run_and_not_within_one():
    second = b.telemetry(boot_id="boot-2")
    second["before"]["boot_id"] = "boot-2"
    taken_up = [*calm()[:2], b.trial(2, telemetry=second, part=2)]
    assert verdict(*taken_up).codes == ()
    within = [b.trial(0), b.trial(1, part=2), b.trial(2, telemetry=second, part=2)]
    assert verdict(*within).codes == ("REBOOTED",)


def test_the_clock_of_another_cpu_or_the_way_up_is_no_drift():
    # cpu3 is measured; its first point still shows the way up from idle.
    assert verdict(*calm(telemetry=clocks(6e8, 1.5e9, 1.5e9))).status == "VALID"
    one = [b.trial(n, telemetry=clocks(1.5e9, 1.5e9, others=f)) for n, f in enumerate((6e8, 1e9, 1.5e9))]
    assert verdict(*one).status == "VALID"


def noisy(spread, **options):
    return [b.trial(n, samples_ns=b.samples(20e6, seed=n, spread=spread), **options) for n in range(3)]


@pytest.mark.parametrize(("spread", "status"), [(0.05, "VALID"), (0.09, "INVALID")])
def test_scatter_is_judged_by_mad_over_median(spread, status):
    # The MAD of a normal distribution is 0.6745 of its deviation: 3.4 % and 6.1 %.
    found = verdict(*noisy(spread))
    assert found.status == status
    assert status == "VALID" or "MAD over median" in found.findings[0].evidence


@pytest.mark.parametrize(("slope", "codes"), [(0.04, ()), (0.12, ("UNSTABLE",)), (-0.12, ("UNSTABLE",))])
def test_a_launch_that_drifts_is_unstable(slope, codes):
    ramp = 1 + slope * np.linspace(0, 1, 300)
    messages = [b.trial(n, samples_ns=[int(v) for v in 20e6 * ramp]) for n in range(3)]
    found = verdict(*messages)
    assert found.codes == codes
    assert not codes or "last third" in found.findings[0].evidence


@pytest.mark.parametrize(
    ("frozen_s", "codes"), [(0.0, ()), (1.0, ()), (2.0, ("UNSTABLE",)), (30.0, ("UNSTABLE",))]
)
def test_a_launch_in_which_the_board_stood_still_is_unstable(frozen_s, codes):
    """300 inferences of 20 ms are 6 s: a second more is a seventh of the launch, two are a quarter."""
    messages = [b.trial(n, samples_ns=b.samples(20e6, seed=n)) for n in range(3)]
    messages[1]["samples_ns"][100] += int(frozen_s * 1e9)
    found = verdict(*messages)
    assert found.codes == codes
    assert not codes or f"launch 2: one inference took {frozen_s:.1f} s" in found.findings[0].evidence


def test_a_slow_inference_among_few_is_no_standstill():
    slow = [b.trial(n, samples_ns=[int(v) for v in (9e8, 1e9, 1.1e9, 1e9, 3e9)]) for n in range(3)]
    assert not any("one inference took" in finding.evidence for finding in verdict(*slow).findings)


@pytest.mark.parametrize(("factor", "codes"), [(1.08, ()), (1.15, ("UNSTABLE",))])
def test_launches_that_disagree_are_unstable(factor, codes):
    messages = [b.trial(n, samples_ns=b.samples(20e6 * (factor if n == 1 else 1), seed=n)) for n in range(3)]
    found = verdict(*messages)
    assert found.codes == codes
    assert not codes or "the launches differ by" in found.findings[0].evidence


@pytest.mark.parametrize("count", [3, 12, 30])
def test_more_launches_of_one_scatter_are_not_less_stable(count):
    """Medians at the quantiles of a normal distribution of 4 %: their range grows, their scatter does not."""
    places = scipy.stats.norm.ppf((np.arange(count) + 0.5) / count)
    medians = 20e6 * np.exp(0.04 * places)
    found = verdict(*(b.trial(n, samples_ns=b.samples(m, seed=n)) for n, m in enumerate(medians)))
    assert found.codes == ()


def test_nothing_below_the_clock_is_called_unstable():
    where = b.condition("null")
    messages = [b.trial(n, samples_ns=b.samples(300, seed=n, spread=0.3), output=None) for n in range(3)]
    found = verdict(*messages, where=where)
    assert found.status == "VALID"
    assert {"TOO_SHORT", "OUTPUT_MISMATCH"} < {rule.code for rule in found.not_judged}


def offline(*, passes, spread=0.01, drift=0.0):
    """Clips from 1 to 8 s: samples scatter by their length, and only repeats may be judged."""
    rows = b.clips()
    base = 4e6 * np.linspace(1, 8, len(rows))
    messages = []
    for n in range(3):
        rng = np.random.default_rng(n)
        ramp = 1 + drift * np.linspace(0, 1, passes * len(rows))
        taken = np.tile(base, passes) * ramp * (1 + spread * rng.standard_normal(passes * len(rows)))
        messages.append(
            b.trial(n, samples_ns=[int(v) for v in taken], output=None, predictions=b.predictions(rows))
        )
    reference = b.reference(corpus_name="emodb", predictions=b.predictions(rows))
    return verdict(*messages, where=b.condition(scenario="offline"), references=[reference])


def test_offline_scatter_is_that_of_repeats_not_of_lengths():
    assert offline(passes=2).status == "VALID"
    assert offline(passes=2, spread=0.15).codes == ("UNSTABLE",)
    assert offline(passes=4, drift=0.2).codes == ("UNSTABLE",)


def test_clips_measured_once_are_not_judged_on_stability():
    rows = b.clips()
    message = b.trial(
        samples_ns=b.samples(20e6, count=len(rows)), output=None, predictions=b.predictions(rows)
    )
    reference = b.reference(corpus_name="emodb", predictions=b.predictions(rows))
    found = verdict(message, where=b.condition(scenario="offline"), references=[reference])
    assert "UNSTABLE" in {rule.code for rule in found.not_judged}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        *(("RUNTIME_IMPORT", "UNSUPPORTED"), ("MODEL_LOAD", "UNSUPPORTED")),
        *((code, "INCOMPLETE") for code in ("KILLED", "TIMEOUT", "RUN_FAILED", "INTERNAL", "NEW_CODE")),
    ],
)
def test_a_failed_launch_names_its_code(code, status):
    found = verdict(*calm()[:2], b.failed(code, "it died", signal=4))
    assert (found.status, found.codes) == (status, (code,))
    assert "1 of 3 launches failed (signal 4): it died" in found.findings[0].evidence


def test_missing_launches_are_incomplete():
    found = verdict(*calm()[:2], launches=3)
    assert (found.status, found.codes) == ("INCOMPLETE", ("MISSING_LAUNCHES",))
    assert "2 of 3" in found.findings[0].evidence


def test_a_planned_condition_that_never_ran_is_shown():
    header = b.header(trials=b.planned(b.condition(), b.condition(b.INT8)))
    lines = [header, *[b.trial_line(b.condition(), m, launch=n) for n, m in enumerate(calm())]]
    rows = summarise(b.records(lines)).rows
    assert [row.verdict.status for row in rows] == ["VALID", "INCOMPLETE"]
    assert rows[1].figures["latency_p50_ns"].value is None
    assert rows[1].figures["size_bytes"].value == 116_341


def test_a_board_whose_runtime_dies_is_unsupported_without_one_trial():
    header = b.header(trials=b.planned(b.condition()))
    header["device"]["fingerprint"]["runtimes"]["onnxruntime"] = {
        "name": "onnxruntime", "version": None, "providers": [],
        "error": {"code": "RUNTIME_IMPORT", "message": "died of signal 4", "signal": 4},
    }  # fmt: skip
    (row,) = summarise(b.records([header])).rows
    assert (row.verdict.status, row.verdict.codes) == ("UNSUPPORTED", ("RUNTIME_IMPORT",))


def test_an_output_that_is_not_finite_is_a_mismatch():
    broken = b.output()
    broken["values"][0][1] = None
    found = verdict(*calm(output=broken))
    assert found.codes == ("OUTPUT_MISMATCH",)
    assert "not finite" in found.findings[0].evidence


@pytest.mark.parametrize("with_reference", [True, False], ids=["the host gives the same", "no reference"])
def test_nan_equals_nothing_not_even_the_hosts_nan(with_reference):
    broken = b.output()
    broken["values"][0][1] = None
    host = b.reference() | {"output": broken}
    found = verdict(*calm(output=broken), references=[host] if with_reference else [])
    assert found.codes == ("OUTPUT_MISMATCH",)
    told = found.findings[0].evidence
    assert "not finite" in told
    assert "1 of" in told
    assert ("on the host too" in told) == with_reference


def test_a_reference_that_is_not_finite_is_said():
    broken = b.output()
    broken["values"][0][1] = None
    found = verdict(*calm(), references=[b.reference() | {"output": broken}])
    assert found.codes == ("OUTPUT_MISMATCH",)
    assert "on the host" in found.findings[0].evidence


def test_a_value_behind_the_stored_ones_that_is_not_finite_is_said():
    """The record holds the first 64 values of an output; an embedding has more."""
    long = b.output() | {"not_finite": [3, 0]}
    found = verdict(*calm(output=long))
    assert found.codes == ("OUTPUT_MISMATCH",)
    assert "3 of its values" in found.findings[0].evidence
    assert "float32" in found.findings[0].action


def test_the_advice_fits_what_the_file_was_compared_with():
    """A file that was compared with itself has nothing to quantize differently."""
    itself = verdict(*calm(output=b.output(5.0))).findings[0]
    child = verdict(*calm(output=b.output(5.0)), where=b.condition(b.INT8)).findings[0]
    assert "quantize" in child.action
    assert "quantize" not in itself.action and "runtime" in itself.action


def test_the_reference_of_the_same_preparation_comes_first():
    """A file that repeats clips is compared with its parent on the same repeated clips."""
    far = b.reference() | {"output": b.output(5.0)}
    same = b.reference() | {"output": b.output(0.0), "prepared_as": b.SHA[b.INT8]}
    where = b.condition(b.INT8)
    assert verdict(*calm(output=b.output(0.0)), where=where, references=[far]).codes == ("OUTPUT_MISMATCH",)
    assert verdict(*calm(output=b.output(0.0)), where=where, references=[far, same]).status == "VALID"
    other = same | {"prepared_as": b.SHA[b.FP32]}
    assert verdict(*calm(output=b.output(5.0)), where=where, references=[other, far]).status == "VALID"


def test_an_output_of_another_shape_is_a_mismatch():
    broken = b.output()
    broken["values"][1] = broken["values"][1][:2]
    assert "another shape" in verdict(*calm(output=broken)).findings[0].evidence


def test_answers_that_are_cut_elsewhere_are_of_another_shape():
    """As many values in all, and the first clip has one that is the second's on the host."""

    def predicted(*rows):
        return {"clips": ["a", "b"], "names": ["frames"], "values": [rows], "pass_ns": [], "audio_s": 2.0}

    where = b.condition(scenario="offline")
    host = b.reference() | {"corpus": "emodb", "input_s": None, "output": None}
    (same,) = b.records([host | {"predictions": predicted([1.0, 2.0], [3.0])}])
    (cut,) = b.records([host | {"predictions": predicted([1.0], [2.0, 3.0])}])
    message = b.trial(predictions=predicted([1.0, 2.0], [3.0]))
    (line,) = b.records([b.trial_line(where, message)])
    artifact = ArtifactFacts(**b.artifact(b.FP32))
    assert parity(artifact, line.condition, [line.trial], [same]).figure.value == 0.0
    found = parity(artifact, line.condition, [line.trial], [cut])
    assert found.figure.value is None and "another shape" in found.mismatch


def test_int8_is_held_to_its_manifests_tolerance():
    where = b.condition(b.INT8)
    assert verdict(*calm(output=b.output(0.4)), where=where).status == "VALID"
    assert verdict(*calm(output=b.output(0.6)), where=where).codes == ("OUTPUT_MISMATCH",)


def test_parity_without_a_reference_is_not_judged():
    found = verdict(references=[])
    assert found.status == "VALID"
    assert "OUTPUT_MISMATCH" in {rule.code for rule in found.not_judged}


@pytest.mark.parametrize(
    ("code", "spoilt", "kept"),
    [
        (
            "BUSY_HOST",
            ["latency_p50_ns", "latency_ratio"],
            ["ua", "peak_rss_bytes", "macs"],
        ),
        ("MEM_UNRESETTABLE", ["peak_rss_bytes", "model_rss_bytes"], ["latency_p50_ns", "ccc_valence"]),
        ("OUTPUT_MISMATCH", ["ua", "latency_p50_ns", "parity_max_abs"], ["size_bytes", "parameters"]),
        ("KILLED", ["ua", "latency_p99_ns", "peak_rss_bytes"], ["size_bytes"]),
    ],
)
def test_a_code_spoils_what_it_speaks_of(code, spoilt, kept):
    found = Verdict("INVALID", (Finding(code, "", ""),))
    assert [name for name in [*spoilt, *kept] if found.against(name)] == spoilt


def test_a_runtime_that_could_not_be_installed_is_unsupported_and_the_others_are_judged():
    there, missing = b.condition(), b.condition(b.INT8, runtime="litert")
    header = b.header(trials=b.planned(there, missing))
    header["device"]["fingerprint"]["runtimes"]["litert"] = {
        "name": "litert", "error": {"code": "RUNTIME_INSTALL", "message": "no wheel for Python 3.8"},
    }  # fmt: skip
    lines = [header, b.reference(), *[b.trial_line(there, m, launch=n) for n, m in enumerate(calm())]]
    rows = summarise(b.records(lines)).rows
    assert [row.verdict.status for row in rows] == ["VALID", "UNSUPPORTED"]
    assert rows[1].verdict.codes == ("RUNTIME_INSTALL",)
    assert "no wheel for Python 3.8" in rows[1].verdict.findings[0].evidence


def test_a_launch_under_the_profiler_is_neither_wanted_nor_counted():
    where = b.condition()
    planned = b.planned(where)
    trace = {**planned[-1], "id": "t9999", "trace": True}
    line = b.trial_line(where, b.trial(3, samples_ns=[1] * 64), launch=3)
    line |= {"kind": "trace", "file": None, "message": "the launch left no trace"}
    lines = [b.header(trials=[*planned, trace]), b.reference()]
    lines += [b.trial_line(where, m, launch=n) for n, m in enumerate(calm())]
    (with_trace,), (without,) = (summarise(b.records(some)).rows for some in ([*lines, line], lines))
    assert with_trace.verdict == without.verdict and with_trace.verdict.status == "VALID"
    assert with_trace.figures == without.figures
