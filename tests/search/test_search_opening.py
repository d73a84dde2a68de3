"""What a search refuses before it writes anything, and waiting for a device on which others measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("optuna", reason="a search needs optuna: pip install edgebench[search]")

from support import results_builder as b

from edgebench.corpora import Source
from edgebench.devices import resolve_device
from edgebench.errors import BoardUnfit, CorpusError, DeviceBusy, MeasurementError, ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.results import summarise
from edgebench.search import measure
from edgebench.search.measure import Stopwatch, timing_of
from edgebench.search.searching import Searching

PARENT = "wav2small.fp32"
NOISE = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


def ravdess(folder: Path, clips: int, *, samples: np.ndarray = NOISE, tests: bool = False) -> Path:
    """A release of ``clips`` clips of one training speaker and one of validation, or of a test speaker."""
    manifest = load_artifact(PARENT).manifest
    assert manifest is not None and manifest.training is not None
    speakers = manifest.training.corpora["ravdess"]
    chosen = {speakers.test[0]: clips} if tests else {speakers.train[0]: clips, speakers.validation[0]: 1}
    for speaker, count in chosen.items():
        for number in range(count):
            path = (
                folder
                / f"Actor_{speaker}"
                / f"03-01-05-01-0{1 + number // 2}-0{1 + number % 2}-{speaker}.wav"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples * (1 - number / 10), 16_000)
    return folder


def opened(output: Path, corpus: Path | None, *, model: str = PARENT, schemes: tuple[str, ...] = ("fp16",)):
    return Searching.open(
        model,
        device=resolve_device("local"),
        host=None,
        calibration={"ravdess": Source(corpus)} if corpus else {},
        schemes=schemes,
        storage=None,
        study=None,
        output=output,
        cache=output / "cache",
        offline=False,
    )


@pytest.mark.parametrize(
    ("clips", "error", "words"),
    [
        (None, UsageError, "sets ranges on speech"),
        ({"clips": 1}, CorpusError, "one clip is the range of one voice"),
        ({"clips": 3, "samples": 0 * NOISE}, CorpusError, r"3 of 3 calibration clips are silent"),
        ({"clips": 2, "tests": True}, CorpusError, "test speakers alone"),
    ],
    ids=["none", "one", "silent", "test_speaker"],
)
def test_clips_that_set_no_range_are_refused_and_nothing_is_written(tmp_path, clips, error, words):
    corpus = ravdess(tmp_path / "ravdess", **clips) if clips else None
    with pytest.raises(error, match=words):
        opened(tmp_path / "output", corpus)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"model": "wav2small.int8_static"}, ModelError, "quantized already"),
        ({"schemes": ("litert_static",)}, UsageError, "Install the extra"),
        ({"schemes": ("ort_statik",)}, UsageError, "is not known"),
    ],
    ids=["quantized", "package", "unknown"],
)
def test_what_cannot_be_searched_is_refused_and_nothing_is_written(
    tmp_path, changed, error, words, monkeypatch
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if "litert" in name else object())
    with pytest.raises(error, match=words):
        opened(tmp_path / "output", ravdess(tmp_path / "ravdess", 2), **changed)
    assert not (tmp_path / "output").exists()


def test_a_file_waits_for_a_device_on_which_others_measure(tmp_path, monkeypatch):
    busy = [DeviceBusy("board 'local' is busy.")] * 2

    def run_suite(request, store, events):
        if busy:
            raise busy.pop()
        return "01A"

    monkeypatch.setattr(measure, "run_suite", run_suite)
    monkeypatch.setattr(measure.time, "sleep", lambda seconds: None)
    stopwatch = Stopwatch(resolve_device("local"), None, None, tmp_path)
    assert stopwatch._run_when_free(None) == "01A"
    busy = [DeviceBusy("board 'local' is busy.")] * 2
    monkeypatch.setattr(measure, "BUSY_S", -1.0)
    with pytest.raises(DeviceBusy):
        stopwatch._run_when_free(None)


def test_a_folder_without_labels_is_no_measure_of_accuracy(tmp_path):
    from edgebench.cli.quantize import labelled_speech

    with pytest.raises(UsageError, match=r"have no labels.*NAME=PATH"):
        labelled_speech([str(tmp_path)], resample=False)
    assert labelled_speech(["synthetic"], resample=False) == {"synthetic": None}


def rows_of(key=None, change=None):
    """Two files at one length; ``change`` alters the lines of the launches of ``key``.

    The int8 file takes three quarters of the time on the clock, and half of the processor's.
    """

    def one(line):
        share = 2 / 3 if line["condition"]["artifact"] == b.INT8 else 1
        line["trial"]["samples_cpu_ns"] = [round(ns * share) for ns in line["trial"]["samples_ns"]]
        if line["condition"]["artifact"] == key:
            change(line)

    lines = b.run_lines(lengths=(5.0,), corpora=(), change=one, launches=6)
    return [row for row in summarise(b.records(lines)).rows if not row.is_null]


def refuses(line):
    line["trial"] |= b.failed("MODEL_LOAD", "no kernel for MatMulNBits")


def answers_otherwise(line):
    line["trial"]["output"] = b.output(9.0)


@pytest.mark.parametrize(
    ("key", "change", "error", "words"),
    [
        (b.INT8, refuses, MeasurementError, r"cannot run int8\.onnx: MODEL_LOAD: no kernel for MatMulNBits"),
        (b.INT8, answers_otherwise, MeasurementError, r"answers otherwise .* int8\.onnx"),
        (b.FP32, refuses, BoardUnfit, "starts from: MODEL_LOAD"),
    ],
    ids=["refused", "otherwise", "parent"],
)
def test_what_the_device_said_of_a_file_is_told(key, change, error, words):
    with pytest.raises(error, match=words):
        timing_of(rows_of(key, change), "int8.onnx", "01A")


def test_a_file_has_the_time_of_its_launches_over_those_of_its_parent():
    assert timing_of(rows_of(), "int8.onnx", "01A").ratio == pytest.approx(0.5, rel=0.03)
