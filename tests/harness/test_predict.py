"""Predicting on this host: the real agent, here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.speech_models import small_model

from edgebench.errors import MeasurementError, ModelError
from edgebench.harness.board import Board
from edgebench.harness.events import Silent
from edgebench.harness.host.predict import predict_on_host
from edgebench.harness.plan import Subject
from edgebench.harness.suite import Suite
from edgebench.models import load_artifact

SUITE = Suite(name="test", scenarios=("single_stream",), input_s=(0.5, 1.0))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def predict(path: Path, here: Path) -> list[dict[str, Any]]:
    return predict_on_host(SUITE, [load_artifact(path)], [], cache=here / "cache", events=Silent())


def test_every_input_once_and_nothing_is_left_behind(here: Path) -> None:
    lines = predict(small_model(here / "small.onnx"), here)
    assert sorted(line["input_s"] for line in lines) == [0.5, 1.0]
    assert all(len(line["output"]["values"][0]) == 4 for line in lines)
    assert list((here / "cache" / "edgebench" / "runs").iterdir()) == []


def test_a_file_that_the_runtime_refuses_is_a_model_error(here: Path) -> None:
    model = small_model(here / "small.onnx", opset=99)
    with pytest.raises(ModelError, match="on this host"):
        predict(model, here)


def test_an_agent_that_ends_early_is_no_silent_gap(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow = Board.follow

    def cut(self: Board, run_dir: str, seq: int, limits: Any) -> Any:
        for message in follow(self, run_dir, seq, limits):
            if message["kind"] == "trial":
                yield {"kind": "lost", "message": "the supervisor is gone"}
                return
            yield message

    monkeypatch.setattr(Board, "follow", cut)
    with pytest.raises(MeasurementError, match=r"0 of 2 .*the supervisor is gone"):
        predict(small_model(here / "small.onnx"), here)


def test_a_subject_is_what_the_artifact_says(here: Path) -> None:
    fixed = Subject.of(load_artifact(small_model(here / "fixed.onnx", samples=8000)))
    assert (fixed.key, fixed.lengths_s, fixed.scored, fixed.preparation) == ("fixed", (0.5,), False, ())
    packaged = Subject.of(load_artifact("wav2small.int8_static"))
    assert (packaged.lengths_s, packaged.scored) == ((), True)
    assert [step["step"] for step in packaged.preparation] == ["pad", "crop"]


def with_dither(path: Path, *, amplitude: float, seed: float | None) -> Path:
    """A model whose front end adds a little random noise to the waveform, as some toolkits do in training."""
    model = onnx.load(small_model(path))
    source = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["dithered" if name == source else name for name in node.input]
    seeded = {} if seed is None else {"seed": seed}
    added = [
        helper.make_node("RandomNormalLike", [source], ["noise"], dtype=TensorProto.FLOAT, **seeded),
        helper.make_node("Mul", ["noise", "amplitude"], ["small"]),
        helper.make_node("Add", [source, "small"], ["dithered"]),
    ]
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*added, *kept])
    model.graph.initializer.append(numpy_helper.from_array(np.array(amplitude, np.float32), "amplitude"))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("seed", [None, 1.0])
def test_answers_that_are_random_are_found_before_the_run(here: Path, seed: float | None) -> None:
    with pytest.raises(ModelError, match=r"the same input twice gives two answers.*dither"):
        predict(with_dither(here / "dither.onnx", amplitude=0.01, seed=seed), here)


def test_answers_that_repeat_are_no_fault(here: Path) -> None:
    lines = predict(with_dither(here / "none.onnx", amplitude=0.0, seed=None), here)
    assert [line["output"]["repeats"] for line in lines] == [True, True]


def test_a_file_of_given_lengths_takes_clips_that_are_fitted() -> None:
    fitted = ({"step": "fit", "lengths_s": [1.0]},)
    assert not Subject("a.b", "0", lengths_s=(1.0,)).takes_clips
    assert Subject("a.b", "0", lengths_s=(1.0,), preparation=fitted).takes_clips
    assert Subject("a.b", "0").takes_clips
