"""From a run to what is shown of it: the table, the JSON, the page, a comparison, a damaged store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.cli import QUICK_SUITE, Edgebench
from support.speech_models import small_model

from edgebench.results import PUBLIC_NAMES

STORE = 7


@pytest.fixture(scope="module")
def folder_of_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that one run of a model without manifest leaves behind."""
    folder = tmp_path_factory.mktemp("measured")
    small_model(folder / "my.onnx")
    result = Edgebench.in_folder(folder)("run", "--suite", "quick.toml", "--model", "my.onnx")
    assert result.returncode == 0, result.stderr
    assert "report: " in result.stdout
    return folder


@pytest.fixture
def measured(folder_of_a_run: Path, tmp_path: Path) -> Edgebench:
    """A store with one run in it, to do with as one likes."""
    shutil.copytree(folder_of_a_run, tmp_path, dirs_exist_ok=True)
    return Edgebench(tmp_path)


def test_json_has_the_documented_shape(measured: Edgebench) -> None:
    result = measured.here("report", "last", "--json")
    run = json.loads(result.stdout)
    assert run["schema_version"] == 1
    assert {record["artifact"] for record in run["records"]} == {"my", "null"}
    for record in run["records"]:
        assert {"artifact", "device", "scenario", "input_s", "threads", "verdict", "metrics"} <= set(record)
        assert set(record["verdict"]) >= {"status", "codes"}
        assert set(PUBLIC_NAMES) <= set(record["metrics"])
        for name, metric in record["metrics"].items():
            assert {"value", "unit", "lo", "hi", "n"} <= set(metric), name
            if metric["value"] is None:
                assert metric["reason"], f"{name} is null without a reason"
    mine = next(record for record in run["records"] if record["artifact"] == "my")
    assert mine["metrics"]["size_bytes"]["value"] == (measured.folder / "my.onnx").stat().st_size
    # 98 frames of an 8 x 400 kernel, and 8 x 4 of the head, at 1 s.
    assert mine["metrics"]["macs"]["value"] == 98 * 8 * 400 + 8 * 4
    assert mine["metrics"]["parameters"]["value"] == 8 * 400 + 8 * 4
    assert mine["metrics"]["ua"]["value"] is None
    assert mine["metrics"]["parity_max_abs"]["value"] == 0.0


def test_stdout_of_json_is_json_alone(measured: Edgebench) -> None:
    result = measured("run", "--suite", "quick.toml", "--model", "my.onnx", "--json")
    json.loads(result.stdout)
    assert "report: " in result.stderr


@pytest.mark.parametrize(
    ("kind", "marks"), [("markdown", ["| my |", "#"]), ("html", ["<!doctype html", "my"])]
)
def test_other_formats_to_a_file(measured: Edgebench, tmp_path: Path, kind: str, marks: list[str]) -> None:
    target = tmp_path / "out"
    result = measured.here("report", "last", "--format", kind, "--output", str(target))
    assert result.returncode == 0, result.stderr
    text = target.read_text()
    assert all(mark.lower() in text.lower() for mark in marks)


def test_a_run_against_itself_compares_as_equal(measured: Edgebench) -> None:
    result = measured.here("compare", "last", "last", "--json")
    assert result.returncode == 0, result.stderr
    text = measured.here("compare", "last", "last").stdout
    assert "my" in text


def test_the_artifacts_of_one_run_are_compared(measured: Edgebench) -> None:
    shutil.copy(measured.folder / "my.onnx", measured.folder / "other.onnx")
    result = measured("run", "--suite", "quick.toml", "--model", "my.onnx", "--model", "other.onnx")
    assert result.returncode == 0, result.stderr
    found = json.loads(measured.here("compare", "last", "--json").stdout)
    assert found["paired"] and found["words"]["family_error"] == 0.05
    assert {(row["artifact"], row["against"]) for row in found["records"]} == {("other", "my")}
    turned = json.loads(measured.here("compare", "last", "--against", "other", "--json").stdout)
    assert {(row["artifact"], row["against"]) for row in turned["records"]} == {("my", "other")}
    assert "paired by round" in measured.here("compare", "last", "--markdown").stdout
    measured.refuses("compare", "last", "--against", "nobody", status=2, says=["no artifact 'nobody'"])
    measured.refuses("compare", "last", "last", "--artifact", "my", status=2, says=["--artifact", "one run"])
    measured.refuses("compare", "--schemes", "a,b", status=2, says=["no file of the scheme 'a'"])
    measured.refuses("compare", "last", "last", "--schemes", "a,b", status=2, says=["--schemes", "one run"])
    measured.refuses("compare", "--schemes", "a,b", "--against", "my", status=2, says=["--against"])


def test_unlike_runs_are_not_compared(measured: Edgebench, tmp_path: Path) -> None:
    first = json.loads(measured.here("report", "--json").stdout)["run_id"]
    (tmp_path / "other.toml").write_text(
        (tmp_path / "quick.toml").read_text().replace("launches = 1", "launches = 2")
    )
    result = measured("run", "--suite", "other.toml", "--model", "my.onnx")
    assert result.returncode == 0, result.stderr
    measured.refuses("compare", first, "last", status=2, says=["launches: 1 against 2"])
    assert measured.here("compare", first, "last", "--force").returncode == 0


def test_a_last_line_cut_by_a_crash(measured: Edgebench) -> None:
    """It is left out with a word, set aside by the next run, and nothing else is lost."""
    records = measured.store / "records.jsonl"
    whole = records.read_bytes()
    first = json.loads(measured.here("report", "--json").stdout)["run_id"]
    records.write_bytes(whole + whole.splitlines(keepends=True)[-1][:40])
    shown = measured.here("report", first, "--json")
    assert shown.returncode == 0
    assert "cut short" in shown.stderr
    assert json.loads(shown.stdout)["run_id"] == first
    again = measured("run", "--suite", "quick.toml", "--model", "my.onnx", "--json")
    assert again.returncode == 0, again.stderr
    assert records.read_bytes().startswith(whole)
    aside = list(measured.store.glob("records.jsonl.cut-*"))
    assert len(aside) == 1
    assert aside[0].read_bytes() == whole.splitlines(keepends=True)[-1][:40]
    for run_id in (first, json.loads(again.stdout)["run_id"]):
        assert measured.here("report", run_id, "--json").returncode == 0


def test_a_store_of_a_newer_edgebench(measured: Edgebench) -> None:
    records = measured.store / "records.jsonl"
    records.write_text(records.read_text().replace('"schema_version":2', '"schema_version":999'))
    measured.refuses("report", "last", status=STORE, says=["999"])


def test_disturbed_launches_are_measured_again_and_stored_beside_the_first(
    edgebench: Edgebench, tmp_path: Path
) -> None:
    """No launch can stay below a billionth of the machine: all are disturbed, and half may be repeated."""
    small_model(tmp_path / "my.onnx")
    repeats = "[repeats]\nbudget = 0.5\nothers = 1e-9\nsteal = 1e-9\nqueue_wait = 1e-9\nbusy_host = 1.0\n"
    quick = QUICK_SUITE.partition("[repeats]")[0].replace("launches = 1", "launches = 2")
    (tmp_path / "repeats.toml").write_text(f"null_runtime = false\n{quick}{repeats}")
    result = edgebench.here("run", "--suite", "repeats.toml", "--model", "my.onnx", "--json")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in (edgebench.store / "records.jsonl").read_text().splitlines()]
    trials = [line for line in lines if line["kind"] == "trial"]
    planned = [line for line in trials if line["trial"]["repeat_of"] is None]
    assert [line["round"] for line in planned] == [0, 1]
    (repeated,) = (line for line in trials if line not in planned)
    first = next(line for line in planned if line["trial"]["id"] == repeated["trial"]["repeat_of"])
    assert first["trial"]["disturbed"] and repeated["round"] == first["round"]
    assert repeated["condition"] == first["condition"]
    (record,) = json.loads(result.stdout)["records"]
    assert record["metrics"]["load_ns"]["n"] == 2, "the repeat stands for the first, not beside it"


def test_plan_prints_and_measures_nothing(edgebench: Edgebench, tmp_path: Path) -> None:
    small_model(tmp_path / "my.onnx")
    result = edgebench("run", "--suite", "quick.toml", "--model", "my.onnx", "--plan")
    assert result.returncode == 0
    assert "2 trials" in result.stdout  # the model and the null runtime
    assert not edgebench.store.exists()


def test_models_and_devices_list_what_ships(edgebench: Edgebench) -> None:
    shipped = json.loads(edgebench.here("models", "--json").stdout)
    assert {row["key"]: row["by_default"] for row in shipped} == {
        "wav2small.fp32": True,
        "wav2small.int8_static": False,
        "wav2small.packed_mixed_int8": True,
        "wav2small.packed_ternary_int8": True,
    }
    listed = json.loads(edgebench.here("devices", "--json").stdout)
    assert {"local", "rpi4", "rpi5", "jetson_orin_nano"} <= set(listed["profiles"])


def test_doctor_of_this_machine(edgebench: Edgebench) -> None:
    result = edgebench("doctor", "--json")
    assert result.returncode == 0, result.stderr
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["runtime"]["status"] == "ok"
    assert checks["null runtime"]["found"].endswith("ns an inference")
    assert checks["lock"]["status"] == "ok"
