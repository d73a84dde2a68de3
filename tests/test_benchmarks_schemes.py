"""The table of schemes: what is taken from an earlier call, what is measured together, and each cell."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the benchmarks are no part of what is installed

from support import results_builder as b

from benchmarks.schemes_make import Loss, Made, make, missing, reason_in, run
from benchmarks.schemes_run import batches
from benchmarks.schemes_table import cost_cells, lines, loss_cells, refusals, renewed
from edgebench.files import sha256_of
from edgebench.models.quantization import scheme_named
from edgebench.results import summarise
from edgebench.results.metrics.table import Figure

FP16 = scheme_named("fp16")
LITERT = scheme_named("litert_fp32")


def _figure(value: float, lo: float | None = None, hi: float | None = None, n: int = 10) -> Figure:
    return Figure(value, "", lo, hi, n)


def _file(key: str, *, sha256: str = "", size: int = 1000, model_format: str = "onnx") -> Any:
    return SimpleNamespace(key=key, sha256=sha256 or b.SHA[key], size_bytes=size, format=model_format)


def test_a_loss_is_the_mean_ua_and_the_largest_ccc_with_its_own_interval() -> None:
    emodb = {
        "ua_loss": _figure(0.5),
        "ccc_arousal_loss": _figure(0.01),
        "ccc_valence_loss": _figure(-0.5),
        "classes_changed": _figure(1, n=20),
    }
    ravdess = {
        "ua_loss": _figure(-0.25, -0.03, 0.01),
        "ccc_arousal_loss": _figure(0.04, 0.01, 0.07),
        "classes_changed": _figure(2, n=30),
    }
    assert Loss.of([emodb, ravdess]) == Loss(
        ua=0.125,
        ccc=0.04,
        ccc_lo=0.01,
        ccc_hi=0.07,
        changed=3,
        clips=50,
        ua_intervals=((-0.03, 0.01),),
    )
    assert Loss.of([]) is None


def test_batches_hold_files_of_one_format_and_each_the_parent() -> None:
    parent = _file(b.FP32)
    files = [_file(f"f{n}", sha256=str(n), model_format="tflite" if n == 1 else "onnx") for n in range(5)]
    found = [[file.key for file in batch] for batch in batches(parent, files, 3)]
    assert found == [[b.FP32, "f0", "f2", "f3"], [b.FP32, "f4"], [b.FP32, "f1"]]


@pytest.fixture
def kept(tmp_path: Path) -> Made:
    """What the scheme fp16 made of a file in an earlier call."""
    path = tmp_path / "model.fp16.onnx"
    path.write_bytes(b"weights")
    request = {"parent": b.SHA[b.FP32], "settings": FP16.described(), "corpora": ["emodb"]}
    loss = Loss(0.0, 0.1, None, None, 1, 82, ((0.0, 0.1),))
    made = Made(
        "fp16", json.loads(json.dumps(request)), 3.5, 10**8, str(path), sha256_of(path), validation=loss
    )
    (tmp_path / "fp16.made.json").write_text(json.dumps(dataclasses.asdict(made)))
    return made


def test_what_is_there_is_not_made_again(kept: Made, tmp_path: Path) -> None:
    assert make(FP16, _file(b.FP32), ["emodb=/a"], tmp_path, ["/no/such/python"]) == kept


@pytest.mark.parametrize("corpora", [[], ["emodb=/a", "nemo=/b"]])
def test_other_speech_makes_it_again(kept: Made, tmp_path: Path, corpora: list[str]) -> None:
    assert make(FP16, _file(b.FP32), corpora, tmp_path, ()) is None


def test_a_file_that_was_changed_is_made_again(kept: Made, tmp_path: Path) -> None:
    Path(str(kept.path)).write_bytes(b"other weights")
    assert make(FP16, _file(b.FP32), ["emodb=/a"], tmp_path, ()) is None


def test_a_scheme_without_its_packages_is_a_row_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.schemes_make.missing", lambda python, needs: ["litert_torch"])
    made = make(LITERT, _file(b.FP32), [], tmp_path, [sys.executable])
    assert made is not None and made.path is None
    assert refusals([made]) == (
        "No file was made by:\n\n- `litert_fp32`: no Python that was given has litert_torch\n"
    )


def test_missing_asks_the_other_python() -> None:
    assert missing(sys.executable, ("json", "no_such_module_1")) == ["no_such_module_1"]


def test_a_command_is_measured_with_its_memory() -> None:
    done = run([sys.executable, "-c", "x = bytearray(150_000_000); print(len(x)); raise SystemExit(3)"])
    assert (done.status, done.stdout) == (3, "150000000\n")
    assert done.peak_rss_bytes > 150_000_000 and done.duration_s > 0


def test_the_reason_is_what_edgebench_said_or_a_crash_s_last_line() -> None:
    assert reason_in("some warning\nedgebench: clips are silent.\nTake others.\n") == (
        "clips are silent. Take others."
    )
    assert reason_in("edgebench: no such scheme.\n") == "no such scheme."
    assert reason_in('Traceback (most recent call last):\n  File "x"\nKeyError: 1\n') == "KeyError: 1"
    assert reason_in("") == "it said nothing"


def _summary(*, shift: float = 0.0) -> Any:
    """A run in which int8 takes .75 of the processor time and its outputs differ by .01 and ``shift``."""

    def change(line: dict[str, Any]) -> None:
        trial = line["trial"]
        trial["samples_cpu_ns"] = trial["samples_ns"]
        if line["condition"]["artifact"] == b.INT8 and trial["output"]:
            trial["output"] = b.output(0.01 + shift)

    return summarise(b.records(b.run_lines(lengths=(5.0,), change=change)))


def _lines(summary: Any, made: dict[str, Made]) -> list[Any]:
    parent, int8 = _file(b.FP32, size=2000), _file(b.INT8)
    return lines([summary, summary], summary, {f.sha256: f for f in (parent, int8)}, made, parent)


def test_a_line_has_its_ratio_to_the_parent_of_its_own_batch() -> None:
    made = Made(
        "int8_static", {}, 61.4, 2 * 10**9, validation=Loss(0.25, 0.125, -0.5, 0.5, 7, 82, ((-0.1, 0.6),))
    )
    base, int8 = _lines(_summary(), {b.SHA[b.INT8]: made})
    assert cost_cells(base)[:5] == ("`wav2small.fp32`", "onnxruntime", "2,000", "1", "")
    cells = cost_cells(int8)
    assert cells[0] == "`wav2small.int8_static`" and cells[2] == "1,000"
    value, lo, hi = (float(part.strip("[],")) for part in cells[3].split())
    assert value == pytest.approx(0.75, rel=0.01) and lo < value < hi
    assert cells[4] == "VALID" and cells[8:] == ("61", "2000")
    assert loss_cells(int8)[2:5] == (
        "+0.2500 [-0.100, +0.600]",
        "+0.1250 [-0.500, +0.500]",
        "7 of 82",
    )
    assert loss_cells(int8)[7].endswith(" of 120")  # six speakers, four emotions, five clips
    assert loss_cells(base)[2:] == ("-",) * 6


def test_wrong_answers_stand_in_the_verdict() -> None:
    _, int8 = _lines(_summary(shift=3.0), {})
    assert cost_cells(int8)[4] == "INVALID OUTPUT_MISMATCH"


def test_the_page_is_renewed_between_the_marks_alone() -> None:
    page = "a\n<!-- begin X -->\nold\n<!-- end -->\nb\n<!-- begin Y -->\nkept\n<!-- end -->\n"
    assert renewed(page, "Y", "new") == (
        "a\n<!-- begin X -->\nold\n<!-- end -->\nb\n<!-- begin Y -->\n\nnew\n\n<!-- end -->\n"
    )
    with pytest.raises(ValueError, match="no place"):
        renewed(page, "Z", "new")
