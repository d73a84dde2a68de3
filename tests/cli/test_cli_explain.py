"""``edgebench explain``: what it refuses, before anything is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from support.cli import Edgebench
from support.tflite_files import tiny_tflite
from support.traced import model

from edgebench.models import load_artifact

INT8 = load_artifact("wav2small.int8_static").path


def alone(path: Path) -> Path:
    """The packaged int8 file without what its metadata says of its parent."""
    found = onnx.load(INT8)
    del found.metadata_props[:]
    onnx.save(found, path)
    return path


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["alone.onnx"], 2, ["--against"]),
        (["wav2small.fp32"], 2, ["was not quantized", "--against"]),
        (["wav2small.fp32", "--against", "wav2small.fp32"], 2, ["same file"]),
        (["missing.onnx"], 3, ["does not exist"]),
        (["alone.onnx", "--against", "missing.onnx"], 3, ["does not exist"]),
        (["lite.tflite", "--against", "wav2small.fp32"], 2, ["no trace", "onnxruntime"]),
        (["fixed.onnx", "--against", "wav2small.fp32"], 2, ["fixed", "0.1 s", "--input-s"]),
        (["alone.onnx", "--against", "wav2small.fp32", "--device", "nowhere"], 2, ["nowhere"]),
        (["alone.onnx", "--against", "wav2small.fp32", "--calibration", "nothing/here"], 2, ["nothing/here"]),
    ],
)
def test_what_cannot_be_explained_is_a_paragraph(
    edgebench: Edgebench, arguments: list[str], status: int, says: list[str]
) -> None:
    alone(edgebench.folder / "alone.onnx")
    (edgebench.folder / "lite.tflite").write_bytes(tiny_tflite())
    fixed = model(
        [onnx.helper.make_node("MatMul", ["waveform", "w"], ["y"])],
        {"w": np.ones((1600, 2), np.float32)},
        outputs=["y"],
    )
    fixed.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1600
    onnx.save(onnx.shape_inference.infer_shapes(fixed), edgebench.folder / "fixed.onnx")
    edgebench.refuses("explain", *arguments, status=status, says=says)
