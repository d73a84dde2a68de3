"""Table II and Fig. 1 from answers: recomputed here with plain counts, and as sections and pages."""

from __future__ import annotations

import io
import json
import statistics

import numpy as np
import pytest

from edgebench.corpora import EMOTIONS
from edgebench.papers.distilhubert.page import (
    figure1_page,
    figure1_sections,
    production_section,
    table2_page,
    table2_sections,
)

pytest.importorskip("torch", reason="training needs torch: pip install edgebench[train]")
from edgebench.papers.distilhubert.table2 import ALONE, JOINED, PAPER, figure1, table2
from edgebench.training.fine_tuning.fold_files import Answer, FoldResult, score_answers

pytestmark = pytest.mark.train


def fold(number: int, *, skill: float, seed: int, emotions=EMOTIONS, leaks: bool = False) -> FoldResult:
    """Thirty clips of two speakers, named rightly with probability ``skill``."""
    rng = np.random.default_rng([seed, number])
    answers = []
    for clip in range(30):
        emotion = emotions[clip % len(emotions)]
        said = EMOTIONS.index(emotion) if rng.random() < skill else int(rng.integers(4))
        logits = [0.0, 0.0, 0.0, 0.0]
        logits[said] = 2.0
        answers.append(
            Answer("iemocap", f"s{number}c{clip}", f"Ses0{number}{'FM'[clip % 2]}", emotion, tuple(logits))
        )
    record = {
        "split": f"iemocap.Session{number}",
        "split_sha256": f"{number}" * 64,
        "leaks_speakers": leaks,
        "clips": {"train": 90, "validation": 30, "test": 30},
        "best": {"step": 10, "validation_ua": 0.5},
        "steps": 20,
    }
    return FoldResult(record, tuple(answers))


ARMS = {
    ALONE: [fold(n, skill=0.3 + 0.1 * n, seed=1) for n in range(1, 6)],
    JOINED: [fold(n, skill=0.6, seed=2) for n in range(1, 6)],
}


def table(alone=ARMS[ALONE], joined=ARMS[JOINED], **options):
    given = {"protocol": "leave_one_session_out", "train_only": ["crema_d"], **options}
    return table2(alone, joined, **given)


def plain_figures(answers) -> dict[str, float]:
    """WA, UA, F1 by counting."""
    pairs = [(a.emotion, EMOTIONS[int(np.argmax(a.logits))]) for a in answers]
    found = {"wa": sum(t == p for t, p in pairs) / len(pairs)}
    recalls, f1s = [], []
    for emotion in EMOTIONS:
        hits = sum(t == p == emotion for t, p in pairs)
        truths, said = sum(t == emotion for t, _ in pairs), sum(p == emotion for _, p in pairs)
        recall, precision = hits / truths, hits / said if said else 0.0
        recalls.append(recall)
        f1s.append(2 * precision * recall / (precision + recall) if hits else 0.0)
        found[f"f1_{emotion}"] = f1s[-1]
    return found | {"ua": sum(recalls) / 4, "macro_f1": sum(f1s) / 4}


def test_every_number_recomputed_from_the_answers():
    found = table()["corpora"]["iemocap"]
    assert [row["metric"] for row in found["rows"]] == list(PAPER)
    for row in found["rows"]:
        means = {}
        for arm, results in ARMS.items():
            values = [plain_figures(result.answers)[row["metric"]] for result in results]
            means[arm] = statistics.mean(values)
            assert row[arm]["folds"] == pytest.approx(values)
            assert row[arm]["mean"] == pytest.approx(means[arm])
            assert row[arm]["deviation"] == pytest.approx(statistics.stdev(values))
            assert row[arm]["n"] == 5
            assert row[arm]["difference"] == pytest.approx(means[arm] - PAPER[row["metric"]][arm][0])
        assert row["gain"]["value"] == pytest.approx(means[JOINED] - means[ALONE])
        change = row[JOINED]["deviation"] / row[ALONE]["deviation"]
        assert row["spread"]["deviation_change"] == pytest.approx(change - 1)
        assert row["spread"]["variance_change"] == pytest.approx(change**2 - 1)


def test_the_papers_own_gains_follow_from_its_table():
    """Its last column, and "a 32% reduction in cross-fold variance"."""
    rows = {row["metric"]: row for row in table()["corpora"]["iemocap"]["rows"]}
    printed = {"wa": 1.2, "ua": -0.2, "macro_f1": 1.4, "f1_anger": 0.8, "f1_happiness": 2.2}
    printed |= {"f1_neutral": 5.4, "f1_sadness": -2.9}
    for metric, points in printed.items():
        assert 100 * rows[metric]["gain"]["paper"] == pytest.approx(points, abs=1e-9)
    assert rows["wa"]["spread"]["paper_deviation_change"] == pytest.approx(-0.32, abs=0.005)


def test_pooled_answers_and_their_paired_gain():
    found = table()["corpora"]["iemocap"]
    for arm, results in ARMS.items():
        everything = [answer for result in results for answer in result.answers]
        pooled = plain_figures(everything)
        for metric, value in pooled.items():
            assert found["pooled"][arm][metric]["value"] == pytest.approx(value)
        assert np.sum(found["pooled"][arm]["confusion"]) == 150
    wa = next(row for row in found["rows"] if row["metric"] == "wa")["gain"]["pooled"]
    pooled = [found["pooled"][arm]["wa"]["value"] for arm in (ALONE, JOINED)]
    assert wa["value"] == pytest.approx(pooled[1] - pooled[0])
    assert wa["lo"] <= wa["value"] <= wa["hi"]


def test_the_paper_stands_beside_what_it_can_be_compared_with():
    def papers(**options) -> list[bool]:
        rows = table(**options)["corpora"]["iemocap"]["rows"]
        return [rows[0][arm]["paper"] is not None for arm in (ALONE, JOINED)]

    assert papers() == [True, True]
    assert papers(train_only=["esd"]) == [True, False]
    assert papers(protocol="k_folds") == [False, False]


def test_without_a_second_corpus_its_half_is_null_with_a_reason():
    found = table(joined=[], train_only=[])
    row = found["corpora"]["iemocap"]["rows"][0]
    assert row[JOINED] == {
        "mean": None,
        "deviation": None,
        "n": 0,
        "folds": [],
        "reason": "no corpus only trained",
        "paper": None,
        "difference": None,
    }
    assert row["gain"]["value"] is None and row["spread"]["deviation_change"] is None
    assert len(table2_sections(found)) == 1
    json.dumps(found, allow_nan=False)
    table2_page(found, None)


def test_an_emotion_that_a_fold_does_not_have_leaves_the_mean_to_the_others():
    few = fold(1, skill=0.5, seed=3, emotions=EMOTIONS[:3])
    rows = table(alone=[few, *ARMS[ALONE][1:]], joined=[])["corpora"]["iemocap"]["rows"]
    sadness = next(row for row in rows if row["metric"] == "f1_sadness")
    assert sadness[ALONE]["folds"][0] is None
    assert sadness[ALONE]["n"] == 4
    assert sadness[ALONE]["mean"] == pytest.approx(np.mean(sadness[ALONE]["folds"][1:]))
    single = table(alone=[few], joined=[])["corpora"]["iemocap"]["rows"]
    assert single[0][ALONE]["reason"] == "one fold has no deviation"
    assert next(r for r in single if r["metric"] == "f1_sadness")[ALONE]["reason"].startswith(
        "the corpus has no"
    )


def cells(section) -> list[list[str]]:
    return [[cell.text for cell in row] for row in section.rows]


def test_sections_say_what_the_json_says():
    found = table()
    alone, joined, gains = table2_sections(found)
    row = found["corpora"]["iemocap"]["rows"][0]
    for section, arm, printed in ((alone, ALONE, "0.595 ± 0.031"), (joined, JOINED, "0.607 ± 0.021")):
        assert cells(section)[0] == [
            "WA",
            f"{row[arm]['mean']:.3f} ± {row[arm]['deviation']:.3f}",
            printed,
            f"{row[arm]['difference']:+.3f}",
        ]
    assert joined.title.endswith("iemocap + crema_d")
    assert cells(gains)[0][:3] == ["WA", f"{row['gain']['value']:+.3f}", "+0.012"]
    assert cells(gains)[0][-1] == "-32%"
    assert cells(gains)[3][4] == "–"  # no paired interval for the F1 of a class


def test_the_terminal_of_80_columns_holds_every_table():
    from rich.console import Console

    from edgebench.results.report import print_sections

    console = Console(width=80, record=True, file=io.StringIO())
    print_sections(table2_sections(table()), console)
    text = console.export_text()
    assert "F1 happiness" in text and "Difference" in text and "0.563 ± 0.073" in text


def test_leaking_folds_are_called_so():
    found = table(alone=[fold(1, skill=0.5, seed=1, leaks=True)], joined=[], protocol="random_folds")
    assert found["leaks_speakers"] is True
    assert any(note.startswith("SEEN SPEAKERS") for note in table2_sections(found)[0].notes)


def test_figure_one_beside_the_paper():
    answers = [answer for result in ARMS[JOINED] for answer in result.answers]
    scoring = score_answers(answers)["iemocap"]
    found = figure1({"distilhubert.fp32": scoring}, corpus="ravdess", as_neutral=["calm"])
    model = found["models"]["distilhubert.fp32"]
    plain = plain_figures(answers)
    for number, emotion in enumerate(EMOTIONS):
        row = model["confusion"][number]
        assert model["recall"][emotion] == pytest.approx(row[number] / sum(row))
    assert np.mean(list(model["recall"].values())) == pytest.approx(plain["ua"])
    assert model["difference"]["wa"] == pytest.approx(plain["wa"] - 0.4664)
    assert model["difference"]["recall_anger"] == pytest.approx(model["recall"]["anger"] - 0.99)
    rows = {row[0]: row[1:] for row in cells(figure1_sections(found)[0])}
    assert rows["WA"][1] == "0.466" and rows["recall of happiness"][1] == "–"
    other = figure1({"distilhubert.fp32": scoring}, corpus="ravdess", as_neutral=[])
    assert other["models"]["distilhubert.fp32"]["paper"] is None
    for page in (figure1_page(found), table2_page(table(), None)):
        assert "connect-src" not in page and "default-src 'none'" in page
        data = page.split('id="plot-data">')[1].split("</script>")[0]
        assert json.loads(data)["plots"]


def test_the_plot_holds_the_tables_points():
    found = table()
    data = json.loads(table2_page(found, None).split('id="plot-data">')[1].split("</script>")[0])
    (plot,) = data["plots"]
    assert [(series["hollow"], series["colour"]) for series in plot["series"]] == [
        (False, 0),
        (True, 0),
        (False, 1),
        (True, 1),
    ]
    rows = found["corpora"]["iemocap"]["rows"]
    assert plot["series"][0]["y"] == [row[ALONE]["mean"] for row in rows]
    assert plot["series"][3]["deviation"] == [row[JOINED]["paper"]["deviation"] for row in rows]
    assert len(data["legend"]) == 4


def test_production_section():
    model = {
        "ua": {"value": 0.7, "lo": 0.6, "hi": 0.8},
        "wa": {"value": 0.5, "lo": None, "hi": None},
        "paper": {"ua": 0.764, "wa": 0.7548},
        "difference": {"ua": -0.064, "wa": -0.2548},
    }
    section = production_section({"models": {"m": model}, "clips": {"train": 90, "validation": 5, "test": 5}})
    assert cells(section) == [
        ["UA of m", "0.700 [0.600, 0.800]", "0.764", "-0.064"],
        ["WA of m", "0.500", "0.755", "-0.255"],
    ]
    assert any("SEEN SPEAKERS" in note for note in section.notes)
