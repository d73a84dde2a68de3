"""Settings of a runtime in a trial: what each does to the memory of a model of known size."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from agent_board import Board, Message, model, trial
from onnx import TensorProto, helper, numpy_helper
from support.runtimes import runtime_python
from support.tflite_files import expected, tiny_tflite

from edgebench.agent import waveform

MIB = 2**20
SAMPLES = 1600
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def product(outputs: int) -> bytes:
    """A waveform times a stored matrix of ``outputs`` columns."""
    weight = np.random.default_rng(0).standard_normal((SAMPLES, outputs)).astype(np.float32)
    given = helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["batch", SAMPLES])
    made = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", outputs])
    node = helper.make_node("MatMul", ["waveform", "weight"], ["answer"])
    stored = [numpy_helper.from_array(weight, "weight")]
    graph = helper.make_graph([node], "product", [given], [made], stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def of(artifact: str, **session: object) -> Message:
    name = " ".join(session) or "default"
    return trial(artifact, id=name, session=session, input_s=SAMPLES / 16000, min_duration_s=0.01)


def grown(result: Message, mark: str, kind: str) -> float:
    """MiB that a mark has beyond the runtime's own."""
    marks = result["memory"]["marks"]
    return (marks[mark][kind] - marks["runtime"][kind]) / MIB


def test_weights_that_are_mapped_take_memory_of_their_own_only_where_they_are_packed(board: Board) -> None:
    artifact = board.blob(product(5000))
    default, packed, mapped = board.results(
        of(artifact), of(artifact, mapped_weights=True), of(artifact, prepacking=False, mapped_weights=True)
    )
    for result in (default, packed, mapped):
        assert result["error"] is None
        assert result["output"]["values"][0] == pytest.approx(default["output"]["values"][0], rel=1e-4)
    once = SAMPLES * 5000 * 4 / MIB
    assert grown(default, "model", "hwm_bytes") > 1.9 * once  # as parsed, and as a tensor
    assert grown(packed, "end", "anon_bytes") > 0.9 * once
    assert grown(mapped, "end", "anon_bytes") < 0.5 * once
    assert 0.9 * once < grown(mapped, "end", "hwm_bytes") < 1.5 * once
    assert not list(board.runs[-1].glob("mapped-*"))


def test_what_a_run_used_goes_back_at_once(board: Board) -> None:
    artifact = board.blob(model(ballast=32 * MIB))  # an inference needs as much again
    kept, returned = board.results(of(artifact), of(artifact, arena=False, return_memory=True))
    assert kept["error"] is None and returned["error"] is None
    assert grown(kept, "end", "rss_bytes") > 60
    assert grown(returned, "end", "hwm_bytes") > 60
    assert grown(returned, "end", "rss_bytes") < 45


def test_a_file_that_cannot_be_written_anew_says_why(board: Board) -> None:
    (result,) = board.results(of(board.blob(b"no model"), mapped_weights=True))
    assert result["error"]["code"] == "MODEL_LOAD"
    assert "mapped weights" in result["error"]["message"]


@pytest.mark.parametrize("runtime", ["litert", "tflite_runtime"])
def test_litert_answers_alike_without_xnnpack(board: Board, runtime: str) -> None:
    artifact = board.blob(tiny_tflite([SAMPLES]))
    python = runtime_python(runtime)
    (result,) = board.results(
        trial(
            artifact, id="a", runtime=runtime, python=python, input_s=0.1, seed=7, session={"xnnpack": False}
        )
    )
    assert result["error"] is None
    answer = expected(waveform.generate(SAMPLES, seed=7)).ravel()
    assert result["output"]["values"] == [pytest.approx(list(answer), abs=1e-4)]
