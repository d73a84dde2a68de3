"""The Wav2Small paper's table and figures from stored lines, against its text and plain arithmetic."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import gmean
from support import results_builder as b

from edgebench.papers.wav2small.figures import Follow, Plane, PlaneModel, PlanePoint, dimensions, parts_of
from edgebench.papers.wav2small.figures_pages import (
    crossing_sentence,
    follow_page,
    follow_sections,
    parts_page,
    parts_sections,
    plane_page,
    plane_sections,
)
from edgebench.papers.wav2small.table1 import TABLE_I, cost_table, measured_models
from edgebench.papers.wav2small.table1_page import table_page, table_sections
from edgebench.results import Predictions, summarise

# Table I as the paper's text has it: parameters (M), peak RSS (MB), MAC (G), time (ms).
PAPER = """
teacher 483.9 1929 149 1089
wavlm_large 318.6 1284 95 688
dawn 165.3 697 55 372
mobilenetv4_l 31.87 257 2.2 24
mobilenetv4_m 10.38 94 1.7 13
mobilenetv3_s 3.14 22 0.4 11
mobilenetv4_s 3.12 36 0.4 5
wav2small 0.072 9 0.4 9
"""


@pytest.fixture
def run(monkeypatch):
    """``run({key: ns for one second of input}, lengths, change=...)``: the summary of such a run."""

    def make(speeds, lengths=(5.0,), **changes):
        keys = list(speeds)
        for number, key in enumerate(keys):
            monkeypatch.setitem(b.SHA, key, f"{number:064x}")
        artifacts = [
            b.artifact(
                key, sha256=b.SHA[key], parameters=73_000 + n, macs={str(s): int(1e8 * s) for s in lengths}
            )
            for n, key in enumerate(keys)
        ]
        models = tuple((key, speed, 0.3) for key, speed in speeds.items())
        lines = b.run_lines(models=models, artifacts=artifacts, lengths=lengths, corpora=(), **changes)
        return summarise(b.records(lines)), lines

    return make


def test_the_paper_s_figures_are_those_of_its_text() -> None:
    for line in PAPER.split("\n")[1:-1]:
        model, parameters, rss, macs, time = line.split()
        figures = TABLE_I[model].figures
        assert figures["parameters"].value == pytest.approx(float(parameters) * 1e6)
        assert figures["peak_rss_bytes"].value == float(rss) * 1e6
        assert figures["macs"].value == pytest.approx(float(macs) * 1e9)
        assert figures["latency_p50_ns"].value == float(time) * 1e6
    assert list(TABLE_I) == [line.split()[0] for line in PAPER.split("\n")[1:-1]]


def test_rows_are_the_run_s_and_ratios_are_ours_over_the_paper_s(run) -> None:
    summary, lines = run({"wav2small.untrained": 2e6, "dawn.untrained": 90e6})
    table = cost_table(summary, ["wav2small", "dawn"]).to_json()
    assert [row["model"] for row in table["rows"]] == ["dawn", "wav2small"]  # the paper's order
    small = table["rows"][1]
    trials = [
        line["trial"]
        for line in lines
        if line["kind"] == "trial" and line["condition"]["artifact"] == "wav2small.untrained"
    ]
    p50 = gmean([np.median(trial["samples_ns"]) for trial in trials])
    peak = gmean([max(mark["hwm_bytes"] for mark in t["memory"]["marks"].values()) for t in trials])
    assert small["latency_p50_ns"]["value"] == pytest.approx(p50)
    assert small["latency_p50_ns"]["lo"] < p50 < small["latency_p50_ns"]["hi"]
    assert small["peak_rss_bytes"]["value"] == pytest.approx(peak)
    assert small["model_rss_bytes"]["value"] == pytest.approx(
        gmean([max(mark["hwm_bytes"] for mark in t["memory"]["marks"].values()) - (44 << 20) for t in trials])
    )
    assert (small["parameters"]["value"], small["macs"]["value"]) == (73_000, 500_000_000)
    assert small["paper"]["printed"] == {
        "parameters": "0.072 M",
        "macs": "0.4 G",
        "peak_rss_bytes": "9 MB",
        "latency_p50_ns": "9 ms",
    }
    assert small["ratio"]["parameters"] == pytest.approx(73_000 / 72_000)
    assert small["ratio"]["macs"] == pytest.approx(1.25)
    assert small["ratio"]["peak_rss_bytes"] == pytest.approx(peak / 9e6)
    assert small["ratio"]["latency_p50_ns"] == pytest.approx(p50 / 9e6)
    # 0.4 is anything from 0.35 to 0.45.
    assert small["ratio_bounds"]["macs"] == pytest.approx([500 / 450, 500 / 350])
    lo, hi = small["latency_p50_ns"]["lo"], small["latency_p50_ns"]["hi"]
    assert small["ratio_bounds"]["latency_p50_ns"] == pytest.approx([lo / 9.5e6, hi / 8.5e6])
    assert (table["threads"], table["macs_rule"]) == (1, "Conv + Linear + attention products")
    assert small["verdict"]["status"] == "VALID"
    assert json.loads(json.dumps(table, allow_nan=False)) == table


def test_what_was_not_measured_says_why_and_keeps_what_its_file_says(run) -> None:
    summary, _ = run({"wav2small.untrained": 2e6})
    facts = summary.header.artifacts[0].model_copy(update={"parameters": 483_000_000, "macs": {"5.0": 140}})
    table = cost_table(summary, TABLE_I, refused={"teacher": "it needs 3 GB"}, files={"teacher": facts})
    rows = {row["model"]: row for row in table.to_json()["rows"]}
    assert list(rows) == list(TABLE_I)
    teacher = rows["teacher"]
    assert teacher["reason"] == "it needs 3 GB"
    assert teacher["parameters"]["value"] == 483_000_000
    assert teacher["macs"]["value"] == 140
    assert teacher["latency_p50_ns"]["value"] is None
    assert teacher["latency_p50_ns"]["reason"] == "it needs 3 GB"
    assert teacher["ratio"]["latency_p50_ns"] is None
    assert teacher["verdict"] is None
    assert rows["dawn"]["reason"] == "it is not in this run"
    assert measured_models(summary) == ["wav2small"]
    text = " ".join(note for section in table_sections(table) for note in section.notes)
    assert "teacher: it needs 3 GB" in text
    assert "it needs 3 GB" in table_page(table)


def test_no_run_at_all_is_a_table_of_reasons() -> None:
    table = cost_table(None, ["dawn"], refused={"dawn": "no memory"})
    assert table.to_json()["run_id"] is None
    assert table.to_json()["rows"][0]["reason"] == "no memory"
    assert "NOT MEASURED" in table_page(table)


def test_a_busy_host_speaks_against_time_and_not_against_memory(run) -> None:
    def busy(line):
        line["trial"]["telemetry"] = b.telemetry(busy=0.5)

    summary, _ = run({"wav2small.untrained": 2e6}, change=busy)
    table = cost_table(summary, ["wav2small"])
    assert table.to_json()["rows"][0]["verdict"]["codes"] == ["BUSY_HOST"]
    _, memory, time = table_sections(table)
    assert memory.rows[0][-1].text == "VALID"
    assert time.rows[0][-1].text == "INVALID: BUSY_HOST"


VGG7, ENCODER = "wav2vec2_vgg7.untrained", "wav2vec2_encoder.untrained"


def test_the_two_parts_by_length_and_where_one_overtakes_the_other(run) -> None:
    def change(line):
        where, trial = line["condition"], line["trial"]
        if where["artifact"] == ENCODER:  # a base and less a second: slower below 2.5 s
            base = 10e6 * (where["input_s"] + 5)
            trial["samples_ns"] = b.samples(base, seed=trial["index"])
        if where["artifact"] == VGG7:
            trial["samples_ns"] = b.samples(30e6 * where["input_s"], seed=trial["index"])

    summary, lines = run({VGG7: 1.0, ENCODER: 1.0}, lengths=(1.0, 2.0, 3.0, 4.0), change=change)
    parts = parts_of(summary)
    found = parts.to_json()
    assert [row["input_s"] for row in found["rows"]] == [1.0, 2.0, 3.0, 4.0]
    for row in found["rows"]:
        times = {
            key: gmean(
                [
                    np.median(line["trial"]["samples_ns"])
                    for line in lines
                    if line["kind"] == "trial"
                    and line["condition"]["artifact"] == key
                    and line["condition"]["input_s"] == row["input_s"]
                ]
            )
            for key in (VGG7, ENCODER)
        }
        assert row["feature_extractor"]["latency_p50_ns"]["value"] == pytest.approx(times[VGG7])
        assert row["encoder"]["latency_p50_ns"]["value"] == pytest.approx(times[ENCODER])
        assert row["ratio"]["value"] == pytest.approx(times[VGG7] / times[ENCODER])
        assert row["ratio"]["lo"] < row["ratio"]["value"] < row["ratio"]["hi"]
    assert found["feature_extractor_slower_from_s"] == 3.0
    assert "from 3 s on" in crossing_sentence(parts)
    assert len(parts_sections(parts)[0].rows) == 4
    drawn = plotted(parts_page(parts))["plots"][0]["traces"]
    assert drawn[0]["y"] == [
        row["feature_extractor"]["latency_p50_ns"]["value"] / 1e6 for row in found["rows"]
    ]
    assert drawn[1]["y"] == [row["encoder"]["latency_p50_ns"]["value"] / 1e6 for row in found["rows"]]


def test_a_part_that_is_never_the_slower_one_is_said_so(run) -> None:
    summary, _ = run({VGG7: 1e6, ENCODER: 2e6}, lengths=(1.0, 2.0))
    parts = parts_of(summary)
    assert parts.crossing_s is None
    assert "not the slower part" in crossing_sentence(parts)


def test_dimensions_are_read_by_the_manifest_s_names() -> None:
    found = Predictions(
        clips=("a", "b"), names=("x", "y"), values=(((1.0,), (2.0,)), ((3.0, 4.0), (5.0, None)))
    )
    tasks = {
        "x": {"kind": "categorical", "labels": ["anger"]},
        "y": {"kind": "dimensional", "labels": ["valence", "arousal"]},
    }
    assert dimensions(found, tasks) == {"valence": (3.0, 5.0), "arousal": (4.0, None)}


def test_the_plane_shows_every_clip_and_the_mean_of_each_category() -> None:
    points = tuple(
        PlanePoint(f"c{n}", "s", category, arousal, valence)
        for n, (category, arousal, valence) in enumerate(
            [
                ("fear", 0.9, 0.2),
                ("anger", 0.8, 0.1),
                ("anger", 0.6, 0.5),
                ("anger", None, 0.9),
                ("<b>", 1.4, -0.2),
            ]
        )
    )
    plane = Plane("mine", (PlaneModel("m", "0" * 64, points),), 1, {"seen_speaker": 2, "unreadable": 0}, 0)
    found = plane.to_json()
    anger, other, fear = found["models"][0]["categories"]
    assert (anger["category"], other["category"], fear["category"]) == ("anger", "<b>", "fear")
    assert anger["n"] == 2  # the clip without a finite arousal has no place
    assert anger["arousal"] == pytest.approx(0.7)
    assert anger["valence_sd"] == pytest.approx(np.std([0.1, 0.5], ddof=1))
    assert fear["arousal_sd"] is None
    assert len(found["models"][0]["points"]) == 5
    page = plane_page(plane)
    plot = plotted(page)["plots"][0]
    assert [trace["x"] for trace in plot["traces"][:3]] == [[0.8, 0.6, None], [1.4], [0.9]]
    assert [trace["y"] for trace in plot["traces"][:3]] == [[0.1, 0.5, 0.9], [-0.2], [0.2]]
    assert plot["traces"][3]["x"] == pytest.approx([0.7])
    assert plot["x"]["limits"][0] < 0 and plot["x"]["limits"][1] > 1.4
    assert plot["y"]["limits"][0] < -0.2
    assert "<b>" not in page.partition('<script type="application/json"')[0].replace("&lt;b&gt;", "")
    assert [row[1].text for row in plane_sections(plane)[0].rows] == ["2", "1", "1"]


def follow(student, teacher) -> Follow:
    times = tuple(float(n) for n in range(len(student["arousal"])))
    return Follow("pupil", "master", "tape.wav", 60.0, 4.0, 1.0, times, student, teacher)


def test_a_student_s_concordance_with_its_teacher_by_the_formula() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(0.5, 0.2, 50)
    said = 0.7 * truth + rng.normal(0.1, 0.05, 50)
    line = {"arousal": tuple(said), "valence": (0.3,) * 50}
    pair = follow(line, {"arousal": tuple(truth), "valence": tuple(truth)})
    moments = 2 * np.mean((said - said.mean()) * (truth - truth.mean()))
    expected = moments / (said.var() + truth.var() + (said.mean() - truth.mean()) ** 2)
    found = pair.to_json()["dimensions"]
    assert found["arousal"]["ccc"]["value"] == pytest.approx(expected)
    assert found["arousal"]["ccc"]["lo"] is None
    assert found["arousal"]["mean_abs_difference"] == pytest.approx(np.abs(said - truth).mean())
    assert found["valence"]["ccc"]["value"] is None
    assert "says the same" in found["valence"]["ccc"]["reason"]
    plots = plotted(follow_page(pair))["plots"]
    assert plots[0]["traces"][0]["y"] == list(truth)
    assert plots[0]["traces"][1]["y"] == list(said)
    assert [row[0].text for row in follow_sections(pair)[0].rows] == ["arousal", "valence"]


def test_a_prediction_that_is_no_number_leaves_no_concordance() -> None:
    pair = follow(
        {"arousal": (0.1, None), "valence": (0.1, 0.2)}, {"arousal": (0.1, 0.2), "valence": (0.2, 0.1)}
    )
    assert pair.ccc("arousal").value is None
    assert pair.difference("arousal") == 0.0
    assert pair.shared == ["arousal", "valence"]
    json.dumps(pair.to_json(), allow_nan=False)
    assert plotted(follow_page(pair))["plots"][0]["traces"][1]["y"] == [0.1, None]


def plotted(page: str):
    """What the page's script is given to draw."""
    _, _, rest = page.partition('<script type="application/json" id="plot-data">')
    return json.loads(rest.partition("</script>")[0])
