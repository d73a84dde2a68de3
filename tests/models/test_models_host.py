"""Running files on this host: against the equation, against a plain loop, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from model_files import save, tiny_graph
from onnx import TensorProto, helper, numpy_helper
from support.tflite_files import expected, tiny_tflite

from edgebench.errors import ModelError
from edgebench.models import load_artifact
from edgebench.models.graph.parity import largest_difference, outputs
from edgebench.models.host import HostModel


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)


@pytest.mark.parametrize(
    "shape", [["b", "n"], ["n"], [1, 1, "n"], ["b", "n", 1], [-1, -1], [1, 16_000], [1, 16_000, 1]]
)
def test_a_net_by_its_equation(tmp_path: Path, shape):
    """Four kernels of 8 at a stride of 4, and the mean over time, however the waveform is shaped."""
    model = HostModel(load_artifact(save(tiny_graph(shape=shape), tmp_path / "m.onnx")))
    waveform = noise(16_000)
    kernel = np.random.default_rng(0).standard_normal((4, 1, 8)).astype(np.float32)[:, 0]
    windows = np.lib.stride_tricks.sliding_window_view(waveform, 8)[::4]
    assert model.names == ("emotion_logits",)
    np.testing.assert_allclose(
        model(waveform)["emotion_logits"].ravel(), (windows @ kernel.T).mean(0), atol=1e-5
    )


def test_clips_are_prepared_as_the_manifest_says():
    model = HostModel(load_artifact("wav2small.fp32"))
    assert len(model.prepared(noise(100))) == 1600
    assert len(model.prepared(noise(31 * 16_000))) == 30 * 16_000


def test_a_length_that_is_not_taken(tmp_path: Path):
    model = HostModel(load_artifact(save(tiny_graph(shape=[1, 16_000]), tmp_path / "m.onnx")))
    with pytest.raises(ModelError, match="16000"):
        model(noise(8000))


def test_a_file_that_the_runtime_refuses(tmp_path: Path):
    graph = tiny_graph()
    graph.graph.node[2].op_type = "NoSuchOperator"
    with pytest.raises(ModelError, match="onnxruntime refuses it"):
        HostModel(load_artifact(save(graph, tmp_path / "m.onnx")))


def test_a_runtime_that_is_not_here(tmp_path: Path):
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite())
    with pytest.raises(ModelError, match="pip install tflite-runtime"):
        HostModel(load_artifact(path), runtime="tflite_runtime")


def test_tflite_by_its_equation(tmp_path: Path):
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite(lengths=(16_000, 32_000)))
    model = HostModel(load_artifact(path))
    for length in (16_000, 32_000):
        found = model(noise(length))["emotion_logits"]
        np.testing.assert_allclose(found, expected(noise(length)), atol=1e-5)
    with pytest.raises(ModelError, match="20000 samples"):
        model(noise(20_000))


def test_distance_of_two_files(tmp_path: Path):
    one, other = tiny_graph(), tiny_graph()
    weights = numpy_helper.to_array(other.graph.initializer[0]) + np.float32(0.5)
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "kernel"))
    waveforms = [noise(16_000), noise(8000)]
    a, b = save(one, tmp_path / "a.onnx"), other.SerializeToString()
    by_hand = max(
        np.abs(x - y).max() for x, y in zip(_answers(one, waveforms), _answers(other, waveforms), strict=True)
    )
    assert largest_difference(a, b, waveforms) == pytest.approx(by_hand)
    assert largest_difference(a, a.read_bytes(), waveforms) == 0


def test_nothing_is_said_of_answers_that_are_not_finite():
    broken = tiny_graph()
    weights = numpy_helper.to_array(broken.graph.initializer[0]) * np.float32(np.nan)
    broken.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "kernel"))
    data = broken.SerializeToString()
    assert np.isnan(outputs(data, [noise(1600)])[0][0]).all()
    with pytest.raises(ModelError, match="not a finite number"):
        largest_difference(data, data, [noise(1600)])


def _answers(model: onnx.ModelProto, waveforms):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [session.run(None, {"waveform": waveform[np.newaxis]})[0] for waveform in waveforms]


# --- states -------------------------------------------------------------------------------------


def stateful(frame: int | str, *, rate: bool) -> onnx.ModelProto:
    """``state' = state / 2 + mean(frame)``; the answer is the new state times the sample rate, if given."""

    def value(name, shape, kind=TensorProto.FLOAT):
        return helper.make_tensor_value_info(name, kind, shape)

    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1]),
        helper.make_node("Mul", ["state", "half"], ["old"]),
        helper.make_node("Add", ["old", "mean"], ["stateN"]),
        helper.make_node("Cast", ["sr"], ["factor"], to=TensorProto.FLOAT)
        if rate
        else helper.make_node("Identity", ["one"], ["factor"]),
        helper.make_node("Mul", ["stateN", "factor"], ["output"]),
    ]
    inputs = [value("input", [1, frame]), value("state", [1, 1])]
    inputs += [value("sr", [], TensorProto.INT64)] if rate else []
    stored = [
        numpy_helper.from_array(np.array([[number]], np.float32), name)
        for name, number in (("half", 0.5), ("one", 1.0))
    ]
    graph = helper.make_graph(
        nodes, "g", inputs, [value("output", [1, 1]), value("stateN", [1, 1])], stored[: 1 if rate else 2]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("frame", "rate", "context"), [("n", True, 0), (480, False, 0), ("n", False, 64), (576, True, 64)]
)
def test_a_state_is_fed_back_frame_by_frame(tmp_path: Path, frame, rate, context):
    path = save(stateful(frame, rate=rate), tmp_path / "m.onnx")
    if context:
        path.with_name("m.streaming.json").write_text(f'{{"context": {context}}}')
    model = HostModel(load_artifact(path))
    waveform = noise(2000)
    step = 512 if frame == "n" else frame - context
    padded = np.concatenate([np.zeros(context), waveform, np.zeros(-len(waveform) % step)])
    state = 0.0
    for begin in range(0, len(padded) - context, step):
        state = state / 2 + padded[begin : begin + step + context].mean()
    answer = model(waveform)
    assert answer["output"].item() == pytest.approx(state * (16_000 if rate else 1), rel=1e-4)
    assert answer["stateN"].item() == pytest.approx(state, rel=1e-4)
    assert model(waveform)["output"] == answer["output"]  # from zeros again
