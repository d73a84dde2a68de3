"""A copy of an ONNX file whose large weights stand in a file of their own, which onnxruntime maps.

onnxruntime reads the weights of one file into memory twice: as it parses the file, and as tensors. Weights
beside the file are mapped, so that pages come when they are read and the system can drop them again. The
copy is written by onnxruntime itself, in a process of its own: its memory is none of the model's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile

from edgebench.agent.runtimes import base

_WRITE = """
import sys
import onnxruntime as ort
source, target, level = sys.argv[1:]
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
options.optimized_model_filepath = target
for key, value in (
    ("external_initializers_file_name", "weights"),
    ("external_initializers_min_size_in_bytes", "1024"),
):
    options.add_session_config_entry("session.optimized_model_" + key, value)
ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
"""


def write(path: str, level: str) -> str:
    """Write the copy of ``path``, its graph optimized to ``level``, into a new folder of the working folder.

    Gives its path. Raises UnfitError with onnxruntime's last line where that fails.
    """
    folder = tempfile.mkdtemp(prefix="mapped-", dir=".")
    target = os.path.abspath(os.path.join(folder, "model.onnx"))
    command = [sys.executable, "-I", "-c", _WRITE, path, target, level]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode != 0 or not os.path.exists(target):
        shutil.rmtree(folder)
        said = done.stdout.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise base.UnfitError("onnxruntime cannot write the file with mapped weights: " + said[-1])
    return target


def remove(path: str | None) -> None:
    """Remove the copy; a session that was made of it keeps its mapping."""
    if path is not None:
        shutil.rmtree(os.path.dirname(path), ignore_errors=True)
