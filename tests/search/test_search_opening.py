"""What a search refuses before it writes anything, and waiting for a device on which others measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("optuna", reason="a search needs optuna: pip install edgebench[search]")

from edgebench.corpora import Source
from edgebench.devices import resolve_device
from edgebench.errors import CorpusError, DeviceBusy, ModelError, UsageError
from edgebench.models import load_artifact
from edgebench.search import measure
from edgebench.search.measure import Stopwatch
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
