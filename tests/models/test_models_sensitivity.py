"""One operator at a time in 8 bits: the rounding equation, onnxruntime's own quantizer, planted faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from support.traced import model

from edgebench.errors import ModelError
from edgebench.models.outputs import DIMENSIONS, EMOTION_LOGITS
from edgebench.models.quantization.fake_pairs import rounded_weights
from edgebench.models.quantization.sensitivity import (
    Bench,
    Labels,
    Sensitivity,
    float_nodes,
    sensitivities,
    value_of,
)
from edgebench.models.quantization.source import source_model
from edgebench.models.quantization.static_qdq import quantized_by_ranges, static_settings

NODE = helper.make_node
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(0, 1, (16, 7)).astype(np.float32)
CLIPS = [RNG.uniform(-1, 1, 64).astype(np.float32) for _ in range(8)]


def net(path: Path, *, named: bool = True) -> Path:
    """(1, 64) -> 4 frames of 16 -> product -> Relu -> mean: three dimensions and four logits.

    ``scaled``: a product of a small and a large factor, which 8 bits cannot hold; it undoes itself.
    """
    stored = {"shape": np.array([1, 4, 16]), "w": WEIGHTS, "many": np.float32(1e6), "sizes": np.array([3, 4])}
    stored["spread"] = np.array([1.0] * 6 + [1e4], np.float32)
    nodes = [
        NODE("Reshape", ["waveform", "shape"], ["x"], name="move"),
        NODE("MatMul", ["x", "w"], ["m"], name="product"),
        NODE("Relu", ["m"], ["r"], name="relu"),
        NODE("Mul", ["r", "spread"], ["s"], name="spread"),
        NODE("Div", ["s", "spread"], ["u"], name="unspread"),
        NODE("ReduceMean", ["u"], ["mean"], axes=[1], keepdims=0, name="mean"),
        NODE("Split", ["mean", "sizes"], [DIMENSIONS, EMOTION_LOGITS], axis=1, name="split"),
    ]
    for node in nodes:
        node.name = node.name if named else ""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, 64])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])
            for name, width in ((DIMENSIONS, 3), (EMOTION_LOGITS, 4))
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, path)
    return path


def rounded(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float64]:
    """Values on 256 steps between ``low`` and ``high``, written plainly."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / 255
    zero = round(-low / step)
    return (np.clip(np.rint(values / step) + zero, 0, 255) - zero) * step


def test_a_product_alone_has_the_noise_of_the_equation(tmp_path: Path) -> None:
    bench = Bench(net(tmp_path / "m.onnx"), CLIPS, float_outputs=("MatMul",))
    row = bench.row(["product"])
    low, high = float(np.min(CLIPS)), float(np.max(CLIPS))
    scale = np.abs(WEIGHTS).max(axis=0) / 127
    eight = np.rint(WEIGHTS / scale) * scale
    before, after = (
        np.stack([np.maximum(x.reshape(4, 16) @ w, 0).mean(axis=0) for x in clips])
        for clips, w in ((CLIPS, WEIGHTS), ([rounded(clip, low, high) for clip in CLIPS], eight))
    )
    for part, name in ((slice(0, 3), DIMENSIONS), (slice(3, 7), EMOTION_LOGITS)):
        noise = np.square(before[:, part] - after[:, part]).sum()
        expected = 10 * np.log10(np.square(before[:, part]).sum() / noise)
        assert row.by_output[name] == pytest.approx(expected, abs=0.05)
    assert row.signal_to_noise_db == min(row.by_output.values())
    errors = [clip - rounded(clip, low, high) for clip in CLIPS]
    expected = 10 * np.log10(np.square(CLIPS).sum() / np.square(errors).sum())
    assert row.activations_db == pytest.approx(expected, abs=0.05)
    weights_db = 10 * np.log10(np.square(WEIGHTS).sum() / np.square(WEIGHTS - eight).sum())
    assert row.weights_db == pytest.approx(weights_db, abs=0.01)


def test_it_answers_as_the_file_that_onnxruntime_quantizes(tmp_path: Path) -> None:
    """The same operators by another implementation: onnxruntime's static quantizer on the same clips."""
    path = net(tmp_path / "m.onnx")
    settings = {**static_settings(operators=["MatMul"], float_nodes=[]), "weights": "int8"}
    made = quantized_by_ranges(source_model(path), CLIPS, settings, ["product"])
    bench = Bench(path, CLIPS)
    row = bench.row(["product"])
    import onnxruntime

    session = onnxruntime.InferenceSession(made.SerializeToString())
    noise = signal = 0.0
    for clip, answer in zip(CLIPS, bench.answers, strict=True):
        found = session.run([EMOTION_LOGITS], {"waveform": clip[np.newaxis]})[0]
        noise += float(np.square(found - answer[EMOTION_LOGITS]).sum())
        signal += float(np.square(answer[EMOTION_LOGITS]).sum())
    assert row.by_output[EMOTION_LOGITS] == pytest.approx(10 * np.log10(signal / noise), abs=0.5)


def test_a_planted_fault_is_the_worst_and_its_values_are_lost(tmp_path: Path) -> None:
    rows = {row.nodes[0]: row for row in sensitivities(net(tmp_path / "m.onnx"), CLIPS, float_outputs=())}
    assert set(rows) == {"product", "relu", "spread", "unspread", "mean"}  # nothing that only moves numbers
    worst = min(rows.values(), key=lambda row: row.signal_to_noise_db)
    assert worst.nodes[0] in {"spread", "unspread"}
    assert worst.signal_to_noise_db < 10 < rows["product"].signal_to_noise_db
    lost = worst.lost_share
    assert lost is not None and lost > 0.8  # six columns of seven fall below a step
    assert worst.classes_changed is not None and worst.classes_changed > 0


@pytest.mark.parametrize("named", [True, False])
def test_what_stays_float_is_the_planted_fault(tmp_path: Path, named: bool) -> None:
    path = net(tmp_path / "m.onnx", named=named)
    rows = sensitivities(path, CLIPS, float_outputs=())
    kept = float_nodes(rows, 25.0)
    kinds = {row.nodes[0]: row.kind for row in rows}
    assert {kinds[name] for name in kept} == {"Mul", "Div"}
    bench = Bench(path, CLIPS, float_outputs=())
    assert float_nodes(rows, 25.0, measured=value_of(bench)) == kept
    rest = [name for name in kinds if name not in kept]
    assert bench.row(rest).signal_to_noise_db >= 25.0


def test_labels_give_the_loss_of_ua_and_ccc(tmp_path: Path) -> None:
    path = net(tmp_path / "m.onnx")
    answers = Bench(path, CLIPS).answers
    classes = np.array([int(np.argmax(answer[EMOTION_LOGITS])) for answer in answers])
    dimensions = np.array([answer[DIMENSIONS][0] for answer in answers], np.float64)
    labels = Labels(classes, dimensions)  # the float net is always right
    row = Bench(path, CLIPS, labels=labels, float_outputs=()).row(["spread"])
    changed = row.classes_changed
    assert changed is not None and row.ua_loss is not None and (row.ua_loss > 0) == (changed > 0)
    assert row.ccc_loss is not None and 0.05 < row.ccc_loss <= 1.5
    unknown = Labels(np.full(8, -1), np.full((8, 3), np.nan))
    bare = Bench(path, CLIPS, labels=unknown).row(["spread"])
    assert (bare.ua_loss, bare.ccc_loss) == (None, None)


def test_answers_that_are_no_numbers_lose_everything(tmp_path: Path) -> None:
    """A logarithm of what rounds to zero: minus infinity, and no NaN in any figure."""
    stored = {"small": np.array([1e-6] * 6 + [1.0], np.float32)}
    nodes = [
        NODE("Slice", ["waveform", "zero", "seven", "one"], ["x"]),
        NODE("Mul", ["x", "x"], ["square"]),
        NODE("Mul", ["square", "small"], ["s"], name="small"),
        NODE("Log", ["s"], ["l"], name="log"),
        NODE("Split", ["l", "sizes"], [DIMENSIONS, EMOTION_LOGITS], axis=1),
    ]
    stored |= {"zero": np.array([0]), "seven": np.array([7]), "one": np.array([1]), "sizes": np.array([3, 4])}
    path = tmp_path / "log.onnx"
    onnx.save(model(nodes, stored, outputs=[DIMENSIONS, EMOTION_LOGITS]), path)
    bench = Bench(path, CLIPS)
    truth = np.array([answer[DIMENSIONS][0] for answer in bench.answers], np.float64)
    found = Bench(path, CLIPS, labels=Labels(np.zeros(8, np.int64), truth)).row(["small"])
    assert found.signal_to_noise_db == -150.0
    assert found.ccc_loss == pytest.approx(1.0)
    assert found.ua_loss is not None and np.isfinite(found.ua_loss)


def row(name: str, db: float, ccc: float | None = None, kind: str = "Conv") -> Sensitivity:
    return Sensitivity((name,), kind, (name,), db, ccc_loss=ccc)


def test_greedy_by_hand() -> None:
    rows = [row("a", 20.0, 0.02), row("b", 40.0, 0.001), row("c", 23.0, -0.01), row("d", 10.0, 0.2)]
    # Noise powers .01, .0001, .005, .1: without d .0151 (18.2 dB), without a too .0051 (22.9 dB).
    assert float_nodes(rows, 9.0) == []
    assert float_nodes(rows, 18.0) == ["d"]
    assert float_nodes(rows, 22.0) == ["d", "a"]
    assert float_nodes(rows, 200.0) == ["d", "a", "c", "b"]
    assert float_nodes(rows, 0.0209, measure="ccc_loss") == ["d", "a"]
    with pytest.raises(ModelError, match="labels"):
        float_nodes(rows, 0.1, measure="ua_loss")


def test_equal_operators_share_a_row_where_there_are_many(tmp_path: Path) -> None:
    bench = Bench(net(tmp_path / "m.onnx"), CLIPS)
    assert len(bench.groups()) == len(bench.candidates) == 5
    stored = {f"w{n}": np.eye(64, dtype=np.float32) for n in range(6)}
    nodes = [NODE("MatMul", ["waveform" if n == 0 else f"x{n}", f"w{n}"], [f"x{n + 1}"]) for n in range(6)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("x6", TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "e.onnx",
    )
    sizes = [len(names) for names in Bench(tmp_path / "e.onnx", CLIPS).groups(most=3)]
    assert sorted(sizes) == [1, 1, 4]  # the first reads the waveform, the last is the answer


def test_unsigned_weights_by_the_equation() -> None:
    found = rounded_weights(WEIGHTS, axis=1, signed=False)
    for column in range(WEIGHTS.shape[1]):
        values = WEIGHTS[:, column]
        expected: Any = rounded(values, float(values.min()), float(values.max()))
        assert np.allclose(found[:, column], expected, atol=1e-6)


def test_no_clips_is_a_paragraph(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none was given"):
        sensitivities(net(tmp_path / "m.onnx"), [])
