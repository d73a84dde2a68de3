"""What the record says of a model file, from real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support import results_builder as b
from support.speech_models import small_model
from support.tflite_files import tiny_tflite

from edgebench.harness.facts import artifact_facts
from edgebench.models import load_artifact
from edgebench.results import summarise
from edgebench.results.report import run_markdown


def test_macs_are_counted_at_the_lengths_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite(lengths=(16_000, 144_100)))
    facts = artifact_facts(load_artifact(path), (1.0, 144_100 / 16_000))
    assert facts.macs == {"1.0": 64_000, str(144_100 / 16_000): 1441 * 400}
    assert (facts.format, facts.opset, facts.why_no_macs, facts.streaming) == ("tflite", None, None, None)


def with_loop(path: Path) -> Path:
    """A model whose graph holds a subgraph, which the rule of MACs does not cover."""
    model = onnx.load(small_model(path))
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, [])],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "once"))
    model.graph.node.append(helper.make_node("Loop", ["once", ""], [], body=body, name="loop"))
    path.write_bytes(model.SerializeToString())
    return path


def test_why_macs_are_not_known_reaches_the_report(tmp_path: Path) -> None:
    facts = artifact_facts(load_artifact(with_loop(tmp_path / "m.onnx")), (1.0,))
    assert facts.macs == {}
    assert facts.why_no_macs is not None and "operator Loop" in facts.why_no_macs
    streaming = {"frame": 512, "context": 0, "state": {}, "shapes": {}, "constants": {}}
    bare = b.artifact(b.FP32, macs={}, why_no_macs=facts.why_no_macs, streaming=streaming)
    lines = [b.header(artifacts=[bare]), b.trial_line(b.condition(), b.trial())]
    summary = summarise(b.records(lines))
    (row,) = summary.rows
    assert row.figures["macs"].reason == facts.why_no_macs
    assert "in frames of 512 samples" in run_markdown(summary)
