"""Reports: the same figures everywhere, nothing broken by a narrow terminal or a wicked name."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console
from support import results_builder as b

from edgebench.errors import StoreError
from edgebench.results import summarise
from edgebench.results.compare import compare
from edgebench.results.report import (
    comparison_markdown,
    print_comparison,
    print_run,
    run_markdown,
    run_page,
    write_reports,
)
from edgebench.results.report.notes import SYNTHETIC_NOTE
from edgebench.results.report.ratios import ratio_sections
from edgebench.results.report.terminal import fitting_columns
from edgebench.results.report.words import digits, figure_text, number

WICKED = "<script>alert(1)</script>|[red]*x*`"


def busy(line):
    if line["condition"]["artifact"] == b.INT8 and line["condition"]["input_s"] == 1.0:
        line["trial"]["telemetry"] = b.telemetry(busy=0.4)


def make(**options):
    corpora = (b.corpus("synthetic", rows=b.clips(speakers=3)), b.corpus())
    return summarise(b.records(b.run_lines(corpora=corpora, change=busy, **options)))


@pytest.fixture(scope="module")
def summary():
    return make()


@pytest.fixture(scope="module")
def wicked():
    artifact = b.artifact(WICKED, sha256="9" * 64)
    b.SHA[WICKED] = artifact["sha256"]
    yield make(
        models=((WICKED, 4e6, 0.3),), artifacts=[artifact], command=["edgebench", "run", "--model", WICKED]
    )
    del b.SHA[WICKED]


def terminal(summary, width, show=print_run):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(summary, console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (20181.2, "20,181"),
        (999.96, "1,000"),
        (99.96, "100"),
        (4.0, "4.00"),
        (0.00404, "0.00404"),
        (-0.5, "-0.500"),
        (0, "0"),
        (1e-9, "1.00e-09"),
    ],
)
def test_three_significant_digits(value, text):
    assert digits(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (403, "ns", "403 ns"),
        (20_181_153.5, "ns", "20.2 ms"),
        (999_900, "ns", "1.00 ms"),
        (116_341, "bytes", "116 kB"),
        (78_643_200, "bytes", "78.6 MB"),
        (391_000_000, "MACs", "391 M"),
        (72_659, "parameters", "72,659"),
    ],
)
def test_numbers_with_units(value, unit, text):
    assert number(value, unit) == text


def test_an_interval_is_in_the_unit_of_its_value(summary):
    figure = next(row for row in summary.rows if row.condition.artifact == b.FP32).figures["latency_p50_ns"]
    text = figure_text(figure)
    value, lo, hi = map(float, re.fullmatch(r"([\d.]+) ms \[([\d.]+), ([\d.]+)\]", text).groups())
    assert (value, lo, hi) == pytest.approx((figure.value / 1e6, figure.lo / 1e6, figure.hi / 1e6), rel=0.005)
    assert figure_text(None) == "–"


@pytest.mark.parametrize("width", [60, 80, 100, 140, 250])
def test_the_terminal_never_overflows_and_always_has_the_verdict(summary, width):
    text = terminal(summary, width)
    assert max(len(line) for line in text.splitlines()) <= width
    squeezed = " ".join(text.split())
    for needed in ("INVALID", "BUSY_HOST", "Latency p50", "null runtime", "edgebench run --device rpi4"):
        assert needed in squeezed
    assert " ".join(SYNTHETIC_NOTE.split()) in squeezed


def test_at_80_columns_names_and_figures_stay_whole(summary):
    text = terminal(summary, 80)
    for row in summary.rows:
        assert row.is_null or row.condition.artifact in text
        figure = row.figures["latency_p50_ns"]
        assert figure.value is None or figure_text(figure) in text
    assert "Not shown at this width: " in text
    assert "Not shown" not in terminal(summary, 250)


def test_at_80_columns_runtimes_stay_whole():
    lines = terminal(with_two_runtimes(), 80).splitlines()
    assert any(line.startswith(b.FP32) and " onnxruntime " in line for line in lines)
    assert any(line.startswith(b.INT8) and " litert " in line for line in lines)


def test_every_report_says_the_same_figures(summary):
    markdown = run_markdown(summary).replace("\\", "")
    page = re.sub(r"<[^>]+>", "", run_page(summary).split("</main>")[0])
    wide = terminal(summary, 250)
    for row in summary.rows:
        for name in ("latency_p50_ns", "ua", "ccc_valence"):
            text = figure_text(row.figures[name], bounded=name != "latency_p50_ns")
            for report in (markdown, page, wide):
                assert row.figures[name].value is None or text in report


@pytest.mark.parametrize("report", [run_markdown, run_page, lambda summary: terminal(summary, 140)])
def test_what_every_report_must_say(summary, report):
    text = " ".join(re.sub(r"<[^>]+>", " ", report(summary).replace("\\", "")).split())
    for needed in (
        "check of the pipeline, not speech-emotion accuracy",
        "Pipeline check: predictions on the synthetic corpus",
        "Accuracy on the device: emodb, recorded speech",
        "label_source = prototype",
        "12 of speakers seen in training",
        "Raspberry Pi 4 Model B",
        "onnxruntime 1.23.2",
        "performance",
        "CC-BY-NC-SA-4.0",
        "null runtime, which does nothing, takes 4",
        "Stop what else runs on the device",
    ):
        assert needed in text, needed


def test_seen_and_emulated_are_shouted():
    device = {**b.header()["device"], "emulated": True}
    rows = b.clips(seen=True)
    found = summarise(b.records(b.run_lines(corpora=(b.corpus(rows=rows),), device=device)))
    for text in (run_markdown(found), run_page(found), terminal(found, 140)):
        assert "EMULATED" in text
        assert "SEEN IN TRAINING" in text


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"model": None, "cpu_model": "AMD EPYC"}, "AMD EPYC"),
        ({"model": None, "cpu_model": None}, "aarch64"),
        ({}, "Raspberry Pi 4 Model B Rev 1.4"),
    ],
)
def test_a_board_whose_model_is_not_known_is_called_by_its_processor(facts, name):
    device = {**b.header()["device"], "fingerprint": b.fingerprint(**facts)}
    found = summarise(b.records([b.header(corpora=[], artifacts=[], device=device)]))
    assert f"on rpi4 ({name})" in terminal(found, 140)
    assert f"rpi4: {name}" in terminal(found, 140)
    subtitle = re.search(r'<p class="soft">(.*)</p>', run_page(found))[1]
    assert subtitle == (name if facts else f"{name}, Cortex-A72")
    for text in (terminal(found, 140), run_page(found), run_markdown(found)):
        assert "model not known" not in text


def test_a_wicked_name_is_only_text(wicked):
    page = run_page(wicked)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    data = page.split('id="plot-data">')[1].split("</script>")[0]
    assert json.loads(data)["artifacts"] == [WICKED]
    assert "<" not in data
    markdown = run_markdown(wicked)
    assert "<script>" not in markdown
    # Every bar inside a cell is escaped: all rows of a table have as many cells as its head.
    for table in re.findall(r"(?:^\|.*\n)+", markdown, flags=re.M):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1
    assert WICKED in terminal(wicked, 140)


def test_a_run_without_corpus_or_trials_still_has_its_reports():
    bare = summarise(
        b.records([b.header(corpora=[]), b.trial_line(b.condition(), b.failed("KILLED", "gone"))])
    )
    for text in (run_markdown(bare), run_page(bare), terminal(bare, 80)):
        assert "KILLED" in text
    assert "No corpus was predicted" in run_page(bare)
    empty = summarise(b.records([b.header(corpora=[], artifacts=[])]))
    assert "not ended" in terminal(empty, 80)
    run_page(empty)


def test_comparisons_are_shown():
    before, after = (
        summarise(b.records(b.run_lines(run_id=name, slower=slower, lengths=(5.0,))))
        for name, slower in (("01A", 1), ("01B", 1.2))
    )
    found = compare(before, after)
    for text in (terminal(found, 100, print_comparison), comparison_markdown(found)):
        assert "worse" in text and "inconclusive" in text
        assert re.search(r"1\.(19|20)\d \\?\[1\.1\d\d, 1\.2\d\d\\?\]", text)


def test_reports_are_written_whole(summary, tmp_path):
    paths = write_reports(summary, tmp_path / "reports")
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == sorted(
        f"{b.RUN_ID}.{kind}" for kind in ("html", "json", "md")
    )
    assert json.loads(paths["json"].read_text()) == summary.to_json()
    assert paths["html"].read_text() == run_page(summary)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_reports(summary, tmp_path / "file")


def with_two_runtimes(*, artifact=b.INT8):
    """A run of five rounds: the fp32 file in onnxruntime, the other file in litert."""
    conditions = [b.condition(), b.condition(artifact, runtime="litert")]
    lines = [b.header(trials=b.planned(*conditions, launches=5), launches=5), b.reference()]
    for launch in range(5):
        for faster, condition in enumerate(conditions, start=1):
            message = b.trial(launch, samples_ns=b.samples(20e6 / faster, seed=launch))
            lines.append(b.trial_line(condition, message, launch=launch))
    return summarise(b.records(lines))


@pytest.mark.parametrize("report", [run_markdown, run_page, lambda run: terminal(run, 220)])
def test_several_runtimes_are_named_in_the_tables_and_beside_the_ratios(report):
    said = report(with_two_runtimes()).replace("\\", "")  # Markdown's escapes
    assert "Runtime" in said and "litert" in said and "onnxruntime" in said
    assert f"{b.FP32} (onnxruntime)" in said  # what the file in litert is compared with


def test_one_runtime_takes_no_column(summary):
    assert "| Runtime |" not in run_markdown(summary)
    assert "| Runtime |" in run_markdown(with_two_runtimes())


def test_side_by_side_says_which_ratios_can_be_believed():
    """Wall time that scatters with the round, CPU time that does not: a host that others use as well."""

    def share_the_cpu(line):
        trial, number = line["trial"], line["round"]
        trial["samples_cpu_ns"] = list(trial["samples_ns"])
        if line["condition"]["artifact"] == b.INT8:
            trial["samples_ns"] = [sample * (1 + number % 3) for sample in trial["samples_ns"]]

    summary = summarise(b.records(b.run_lines(corpora=(), change=share_the_cpu)))
    [section] = ratio_sections(summary)
    titles = [column.title for column in section.columns]
    cells = dict(zip(titles, section.rows[0], strict=True))
    assert cells["CPU time"].text.startswith("0.75") and cells["CPU time"].text.endswith(" better")
    assert cells["Wall time"].text.endswith(" not valid") and cells["Wall time"].short == "not valid"
    assert (cells["Verdict"].text, cells["Verdict"].status) == ("VALID but for wall time", "VALID")
    assert "Not valid in some rows: wall time (SCATTERED_PAIRS)." in section.notes
    # CPU time and its verdict are what a narrow terminal keeps.
    kept = [titles[number] for number in fitting_columns(section, 60)]
    assert {"Artifact", "Input", "CPU time", "Verdict"} <= set(kept) and "Wall time" not in kept
